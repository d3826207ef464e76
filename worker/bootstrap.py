"""The worker's composition root: the one place that builds objects, and Celery's signals that ask for it."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from celery import signals
from redis import Redis

from worker import kombu_repair
from worker.app import app
from worker.clock import utc_now
from worker.errors import StoreUnavailableError
from worker.exporter import Exporter, ExportTools
from worker.hubspot.client import AutoClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.tokens import RenewingTokenSource
from worker.hubspot.transport import Transport
from worker.interfaces import CrmSource
from worker.job_queue import CeleryJobQueue
from worker.limiter import NoRateLimit, RedisRateLimiter
from worker.logs import configure_logs
from worker.mongo.connection import MongoDatabase, connect
from worker.mongo.indexes import ensure_indexes
from worker.mongo.jobs import MongoJobStore
from worker.mongo.pages import MongoPageStore
from worker.mongo.tokens import MongoTokenStore
from worker.settings import BrokerSettings, WorkerSettings, load
from worker.sweeper import Sweeper
from worker.wakeups import RedisAnnouncer

_STORE_TIMEOUT_S = 10.0
_REDIS_TIMEOUT_S = 2.0
_QUIET_S = 60.0
_TRY_AGAIN_S = 5.0

_stopping = threading.Event()
_building = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the tasks call."""

    exporter: Exporter
    sweeper: Sweeper


def services() -> Services:
    """Give this process' services, built at first use: a pool that forks must not share connections."""
    with _building:
        return _services_of(os.getpid())


@cache
def _services_of(_pid: int) -> Services:
    return build(load(WorkerSettings), stopping=_stopping)


def build(settings: WorkerSettings, *, stopping: threading.Event) -> Services:
    """Wire a worker; nothing is connected before it is used."""
    database = _connect(settings)
    redis = Redis.from_url(settings.redis, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S)
    jobs, pages, tokens = MongoJobStore(database), MongoPageStore(database), MongoTokenStore(database)
    transport = Transport()
    queue = CeleryJobQueue(app)
    rate = settings.hubspot_rate_limit
    tools = ExportTools(
        jobs=jobs,
        pages=pages,
        tokens=RenewingTokenSource(
            store=tokens,
            transport=transport,
            endpoint=settings.hubspot_token_endpoint,
            client_id=settings.hubspot_client_id,
            client_secret=settings.hubspot_client_secret,
            clock=utc_now,
        ),
        source=_source(settings, transport),
        queue=queue,
        announcer=RedisAnnouncer(redis),
        limiter=RedisRateLimiter(redis, rate) if rate is not None else NoRateLimit(),
    )
    exporter = Exporter(
        tools=tools,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        result_ttl=timedelta(days=settings.result_ttl_days),
        clock=utc_now,
        stopping=stopping,
    )
    return Services(exporter=exporter, sweeper=Sweeper(jobs=jobs, queue=queue, quiet_s=_QUIET_S))


def _source(settings: WorkerSettings, transport: Transport) -> CrmSource:
    endpoints = legacy_endpoints(settings)
    legacy = LegacyClient(transport=transport, endpoints=endpoints)
    dated = DatedClient(transport=transport, objects_url=settings.hubspot_objects_endpoint, legacy=endpoints)
    match settings.hubspot_api:
        case "legacy":
            return legacy
        case "dated":
            return dated
        case "auto":
            return AutoClient(legacy=legacy, dated=dated)


def _connect(settings: WorkerSettings) -> MongoDatabase:
    uri = settings.mongodb_uri.get_secret_value()
    return connect(uri, database=settings.mongodb_database, timeout_s=_STORE_TIMEOUT_S)


@signals.celeryd_init.connect
def check_settings(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Refuse to start a worker with wrong settings: one line, exit status 2."""
    load(WorkerSettings)
    kombu_repair.apply()


@signals.setup_logging.connect
def set_logs_up(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Log in our format; with this handler connected Celery leaves logging alone."""
    configure_logs(load(BrokerSettings).log_format)


@signals.worker_ready.connect
def prepare_the_database(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Create indexes beside the work: the queries are right without them, and MongoDB may be away for now."""
    threading.Thread(target=_ensure_indexes, name="indexes", daemon=True).start()


@signals.worker_shutting_down.connect
def stop_at_the_next_page(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Have every slice of this process hand its job back as soon as the page at hand is stored."""
    _stopping.set()


def _ensure_indexes() -> None:
    """Try until it has worked. The connection is this thread's own: a pool that forks must not inherit one."""
    database = _connect(load(WorkerSettings))
    with database.client:
        while not _stopping.is_set():
            try:
                ensure_indexes(database)
            except StoreUnavailableError:
                _stopping.wait(_TRY_AGAIN_S)
            else:
                return
