"""Celery's settings, each with its reason; loaded late, by name, by workers, beat and the shim."""

from celery.schedules import schedule as _every
from kombu import Exchange, Queue

from worker.app import (
    DELIVER,
    DISPATCH,
    NOTE_MARK,
    QUEUE_BULK,
    QUEUE_INTERACTIVE,
    QUEUE_UPKEEP,
    RUN_RPC_REQUEST,
    RUN_SLICE,
    START_SYNC,
    START_SYNCS,
    SWEEP,
    TAKE_TURN,
)
from worker.broker.amqps import install as _verify_amqps
from worker.broker.redis_client import sentinel_arguments as _sentinel_arguments
from worker.clock import steady_instant as _steady_instant
from worker.settings import BrokerSettings, load

_broker = load(BrokerSettings).broker
_redis = _broker.redis
_verify_amqps()
broker_url = broker_read_url = broker_write_url = (
    _broker.url
)  # Celery would prefer a raw CELERY_BROKER_URL to broker_url
broker_use_ssl = _broker.use_ssl or False  # kombu's default for rediss:// is not to verify the certificate
imports = ("worker.tasks", "worker.signals")

# What travels
result_backend = None  # the state of a job is in MongoDB only
task_ignore_result = True
task_serializer = "json"
accept_content = ["json"]
enable_utc = True
timezone = "UTC"
worker_send_task_events = False  # metrics come from the jobs themselves
task_send_sent_event = False

# Delivery: at least once
task_acks_late = True  # a killed worker's message is delivered again; the lease makes that harmless
task_reject_on_worker_lost = True  # without it a killed pool child's message is acknowledged and lost
task_acks_on_failure = True  # a task that raises must not be redelivered for ever; the sweeper decides
task_acks_on_timeout = True  # the same
worker_prefetch_multiplier = 1  # with late acknowledgement: a busy worker holds back no messages

# Who does the work
worker_pool = (
    "threads"  # slices wait for the network: 64 threads take 61 MiB, 32 processes 1 GiB and fetch half the pages
)
worker_concurrency = 32
worker_cancel_long_running_tasks_on_connection_loss = (
    False  # a slice continues without the broker; its lease protects it
)
worker_enable_remote_control = (
    True  # for `celery inspect ping`, the container's health check; it only answers questions
)

# Queues: a client waits for an interactive job
task_queues = tuple(
    Queue(
        name,
        Exchange(name, type="direct"),  # named, or all three would share the default exchange
        routing_key=name,
        queue_arguments=None if _redis else {"x-queue-type": "quorum"},  # survives the loss of a RabbitMQ node
    )
    for name in (QUEUE_INTERACTIVE, QUEUE_BULK, QUEUE_UPKEEP)
)
task_default_queue = QUEUE_BULK
task_create_missing_queues = False  # a misspelled queue is an error, not one that nobody reads
task_routes = {
    TAKE_TURN: {"queue": QUEUE_BULK},  # or the interactive one: the publisher decides
    NOTE_MARK: {"queue": QUEUE_BULK},  # the same
    RUN_SLICE: {"queue": QUEUE_BULK},
    START_SYNC: {"queue": QUEUE_BULK},
    START_SYNCS: {"queue": QUEUE_BULK},
    RUN_RPC_REQUEST: {"queue": QUEUE_INTERACTIVE},
    DELIVER: {"queue": QUEUE_UPKEEP},
    SWEEP: {"queue": QUEUE_UPKEEP},
    DISPATCH: {"queue": QUEUE_UPKEEP},
}

# While the broker is down
broker_connection_timeout = 5
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # the default gives up after 100 tries and ends the worker
broker_channel_error_retry = True  # Redis out of memory, read-only or without a right: wait, do not end the worker
broker_pool_limit = 10
broker_pool_acquire_timeout = 2  # the default waits for ever
task_publish_retry = False  # a job is stored before it is published, so nothing is lost; the sweeper publishes again

if _redis:
    broker_transport_options = {
        "visibility_timeout": 900,  # s, more than the longest slice with HubSpot at its slowest
        "unacked_restore_interval": 10,  # with the next line: checked every 10 s instead of every 100 s
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,  # these four: a half-open connection is noticed in 12 s instead of never
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "retry_on_timeout": False,
        "global_keyprefix": "hubspot-export:",  # other programs may use the same Redis
        "client_name": "hubspot-export",
    }
    if _redis.master:
        broker_transport_options |= {"master_name": _redis.master, "sentinel_kwargs": _sentinel_arguments(_redis)}
else:
    broker_heartbeat = 15  # s; a silent node is given up after 2.5 times that
    broker_transport_options = {
        "confirm_publish": True,
        "read_timeout": 15,  # s; without these a worker and beat wait for a frozen node for ever
        "write_timeout": 15,
    }

# The periodic tasks. Beat keeps no file: running one of these early, late or twice changes nothing.
# It uses a clock that is never set: when the machine's is put back by an hour, nothing waits for an hour.
beat_scheduler = "worker.beat.scheduler:BeatScheduler"
_periodically = {
    "expiration": 10,  # s, by RabbitMQ's clock; Celery's `expires` would compare the clock of beat with a worker's
    "retry": True,  # beat has one connection: without a retry it stays dead for ever once RabbitMQ was restarted
    "retry_policy": {"max_retries": _broker.nodes, "interval_start": 0},
    # s; a quorum queue without a leader yet, just after a restart, may never confirm: beat would wait for read_timeout
    "confirm_timeout": 3,
}
beat_schedule = {
    "sweep": {"task": SWEEP, "schedule": _every(2.0, nowfun=_steady_instant), "options": _periodically},
    "dispatch": {"task": DISPATCH, "schedule": _every(2.0, nowfun=_steady_instant), "options": _periodically},
}
