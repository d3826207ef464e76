"""The worker's composition root: the one place that builds objects, and Celery's signals that ask for it."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any

import structlog
from celery import signals
from celery.utils.nodenames import default_nodename, nodename
from prometheus_client import CollectorRegistry

from worker import broker_time, kombu_repair, worker_features
from worker.adoption import JobAdoption
from worker.api_choice import ApiChoice
from worker.app import app
from worker.comparison import Comparison
from worker.connected_portals import ConnectedPortals
from worker.control import JobControl
from worker.copy_upkeep import CopyUpkeep
from worker.current_copy import CurrentCopy
from worker.deletions import DeletionGuard
from worker.deliverer import Deliverer
from worker.delivery_rounds import DeliveryRounds
from worker.dispatcher import Dispatcher
from worker.due_work import UNFOLLOWED_AFTER_S, UNSETTLED_AFTER_S
from worker.eraser import Eraser
from worker.errand_runner import ErrandRunner
from worker.errors import StoreUnavailableError
from worker.export_tools import ExportTools, SliceLimits
from worker.exporter import Exporter
from worker.fetching import FURTHER_CALLS_S
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.connector import Connector
from worker.hubspot.dated import MOST_RECORDS
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.inspector import Inspector
from worker.hubspot.portals import PortalTokens
from worker.hubspot.token_addresses import TokenAddresses
from worker.hubspot.token_endpoint import TokenEndpoint
from worker.hubspot.token_information import TokenInformation
from worker.hubspot.tokens import RenewingTokenSource
from worker.hubspot.totals import SearchTotals
from worker.hubspot.transport import CONNECT_S, Sessions, Transport
from worker.hubspot.unwritten import LONGEST_GOODBYE_S, UnwrittenTokens
from worker.hubspot.watched import MeasuredRenewals, WatchedCalls
from worker.interfaces import CrmSource, ErrandTaker, SliceRunner, SweepRunner, SyncStarter, UpkeepStore
from worker.job_queue import CeleryDeliveryQueue, CeleryJobQueue, CelerySyncQueue, message_headers
from worker.leases import LeaseKeeper
from worker.limiter import NoRateLimit, RedisRateLimiter
from worker.logs import configure_logs
from worker.measured import (
    MeasuredAnnouncer,
    MeasuredChooser,
    MeasuredDispatcher,
    MeasuredExporter,
    MeasuredLimiter,
    MeasuredQueue,
    MeasuredSender,
    MeasuredSource,
    MeasuredSweeper,
)
from worker.metrics import ExportMetrics, JobMetrics, new_registry
from worker.metrics_server import serve_metrics
from worker.mongo.connection import MongoDatabase, connect
from worker.mongo.connections import MongoConnectionStore
from worker.mongo.deliveries import MongoDeliveryStore
from worker.mongo.erasures import MongoErasureStore
from worker.mongo.errands import MongoErrandStore
from worker.mongo.gone_lists import MongoGoneListStore
from worker.mongo.indexes import ensure_indexes
from worker.mongo.jobs import MongoJobStore
from worker.mongo.pages import MongoPageStore
from worker.mongo.portals import MongoPortalStore
from worker.mongo.records import MongoRecordStore
from worker.mongo.schedules import MongoScheduleStore
from worker.mongo.server_clock import MongoClock
from worker.mongo.token_encryption import TokenEncryption
from worker.mongo.token_endpoints import MongoTokenEndpoints
from worker.mongo.token_renewals import MongoRenewalLeases
from worker.mongo.tokens import MongoTokenStore
from worker.mongo.transactions import MongoTransactions
from worker.mongo.upkeep import MongoUpkeepStore
from worker.orphans import OrphanedPages
from worker.outbound import GuardedSender
from worker.pacing import PacedDispatcher, PacedSweeper
from worker.pages import PAGE_FORMATS
from worker.planner import Planner, PlannerTools
from worker.processes import end_with
from worker.redis_client import impatient_redis, redis_client
from worker.rings import DelayedRing
from worker.schedule_interfaces import DispatchRunner
from worker.settings import BrokerSettings, WorkerSettings, is_counted_elsewhere, load, started_by
from worker.signatures import Signer
from worker.spans import Traces
from worker.spoiled import SpoiledDocuments
from worker.storage_caps import StoredBytesCap
from worker.sweeper import Sweeper, SweepLimits
from worker.syncer import Syncer
from worker.token_health import TokenHealth
from worker.traced import SliceSpans, TracedErrands, TracedSyncer
from worker.traces import open_traces
from worker.waiting_lines import WaitingLines
from worker.waiting_room import WaitingRoom
from worker.wakeups import RedisAnnouncer

_STORE_TIMEOUT_S = 10.0
_TRANSACTION_S = 30.0  # of several calls; only the job waits for it, and a thread renews its lease meanwhile
_REDIS_TIMEOUT_S = 2.0
_QUIET_S = 60.0  # after which an attempt to deliver a webhook is published for again
_BATCH = 500
_STUCK_MARGIN_S = 60.0
_CALLS_A_PAGE = 3  # at their slowest: two for the token and its portal, and the page's own
_TRY_AGAIN_S = 5.0
_DELIVERING, _WAITING = 32, 25  # threads, and how much waits for one; the rest stays in the database
_MOST_STORING = 1024  # threads that store: made when they are needed, a few for each slice at work
_MOST_CALLING = 1024  # the same for calls of exports that have several under way at once
_MOST_SPARE_CALLS = 64  # under way in this process beyond one for each slice: what they bring takes memory

_log = structlog.get_logger()
_stopping = threading.Event()
_building = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the tasks call."""

    exporter: SliceRunner
    syncer: SyncStarter
    errands: ErrandTaker
    deliverer: Deliverer
    sweeper: SweepRunner
    upkeep: UpkeepStore
    dispatcher: DispatchRunner
    unwritten: UnwrittenTokens
    limiter: RedisRateLimiter | NoRateLimit
    traces: Traces


def services() -> Services:
    """Return this process' services, built at first use: a pool that forks must not share connections."""
    with _building:
        return _services_of(os.getpid())


@cache
def _services_of(pid: int) -> Services:
    return build(load(WorkerSettings), stopping=_stopping, registry=_registry_of(pid))


@cache
def _registry_of(_pid: int) -> CollectorRegistry:
    return new_registry()


def build(settings: WorkerSettings, *, stopping: threading.Event, registry: CollectorRegistry) -> Services:
    """Wire a worker; nothing is connected before it is used."""
    metrics, job_metrics = ExportMetrics(registry), JobMetrics(registry)
    traces = open_traces(
        settings.otel_exporter_otlp_endpoint, service=settings.otel_service_name or "hubspot-export-worker"
    )
    database = _connect(settings)
    redis = redis_client(settings.redis, timeout_s=_REDIS_TIMEOUT_S)
    clock, spoiled = MongoClock(database), SpoiledDocuments(job_metrics.count_spoiled)
    jobs, pages = MongoJobStore(database, spoiled=spoiled), MongoPageStore(database, spoiled=spoiled)
    sessions = Sessions(patience_s=settings.hubspot_timeout_seconds, stopping=stopping, clock=clock)
    calls = WatchedCalls(sessions.send, metrics=metrics, traces=traces)
    transport = Transport(calls.send)
    watched_queue = CeleryJobQueue(app, now=jobs.now)
    queue = MeasuredQueue(watched_queue, job_metrics)
    announcer = RedisAnnouncer(redis)
    result_ttl = timedelta(days=settings.result_ttl_days)
    accounts = _accounts(settings, database, transport, metrics, clock)
    planner = _planner(settings, accounts, jobs, transport, clock)
    records, erasures = MongoRecordStore(database, spoiled), MongoErasureStore(database)
    transactions = MongoTransactions(database, within_s=_TRANSACTION_S)
    eraser = Eraser(jobs=jobs, erasures=erasures, records=records, pages=pages, transactions=transactions)
    comparison = Comparison(
        records=records,
        pages=pages,
        transactions=transactions,
        scopes=accounts.inspector,
        guard=DeletionGuard(share=settings.deletion_guard),
    )
    limiter = _limiter(settings)
    tools = ExportTools(
        jobs=jobs,
        pages=pages,
        copy=CurrentCopy(records=records, erasures=erasures, transactions=transactions, comparison=comparison),
        eraser=eraser,
        tokens=accounts.portal_tokens,
        portals=accounts.portals,
        schedules=MongoScheduleStore(database),
        scopes=accounts.inspector,
        source=MeasuredSource(_source(settings, transport), metrics),
        apis=MeasuredChooser(ApiChoice(setting=settings.hubspot_api, lists=MongoGoneListStore(database)), metrics),
        queue=queue,
        announcer=MeasuredAnnouncer(announcer, job_metrics),
        limiter=MeasuredLimiter(limiter, metrics),
        forecaster=planner,
        waiting_room=WaitingRoom(watched_queue),
        storing=ThreadPoolExecutor(_MOST_STORING, thread_name_prefix="storing"),
        calling=ThreadPoolExecutor(_MOST_CALLING, thread_name_prefix="calling"),
        lanes=settings.export_lanes,
        spare_calls=threading.BoundedSemaphore(_MOST_SPARE_CALLS),
        rings=DelayedRing(queue, jobs=jobs),
        result_ttl=result_ttl,
        clock=clock,
        stopping=stopping,
    )
    keeper = LeaseKeeper(jobs=jobs, lease_s=settings.lease_seconds, longest_s=longest_slice_s(settings))
    keeper.start()
    headers = partial(message_headers, app)
    exporter = Exporter(
        tools=tools,
        keeper=keeper,
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        limits=SliceLimits(seconds=settings.slice_seconds, slots_per_account=settings.slots_per_account),
        watch=SliceSpans(traces, headers=headers),
    )
    control = JobControl(jobs=jobs, pages=pages, queue=queue, result_ttl=result_ttl, clock=clock)
    deliveries = MongoDeliveryStore(database)
    rounds = DeliveryRounds(deliveries=deliveries, queue=CeleryDeliveryQueue(app), quiet_s=_QUIET_S)
    copies = CopyUpkeep(records=records, portals=MongoPortalStore(database))
    upkeep = MongoUpkeepStore(database)
    orphans = OrphanedPages(jobs=jobs, pages=pages, upkeep=upkeep)
    sweeper = Sweeper(
        jobs=jobs,
        queue=watched_queue,
        upkeep=upkeep,
        duties=(partial(control.follow_up, quiet_s=UNFOLLOWED_AFTER_S, limit=_BATCH), rounds.go),
        chores=(
            partial(control.make_up, quiet_s=UNSETTLED_AFTER_S, limit=_BATCH),
            copies.make_up,
            eraser.make_up,
            orphans.collect,
            JobAdoption(jobs=jobs, upkeep=upkeep).adopt,
        ),
        limits=SweepLimits(slots=settings.slots_per_account),
    )
    syncer = Syncer(jobs=jobs, queue=queue, clock=clock)
    dispatcher = Dispatcher(
        schedules=MongoScheduleStore(database, spoiled),
        jobs=jobs,
        queue=CelerySyncQueue(app),
        connections=accounts.health,
        storage=StoredBytesCap(
            jobs=jobs, most=settings.max_stored_bytes_per_account, tell=job_metrics.count_storage_warning
        ),
    )
    errands = ErrandRunner(
        errands=MongoErrandStore(database, TokenEncryption(settings.token_encryption_keys)),
        connector=accounts.connector,
        planner=planner,
        announcer=announcer,
        clock=clock,
    )
    return Services(
        exporter=MeasuredExporter(exporter, metrics),
        syncer=TracedSyncer(syncer, traces, headers=headers),
        errands=TracedErrands(errands, traces, headers=headers),
        deliverer=_deliverer(settings, database, stopping, metrics, clock),
        sweeper=PacedSweeper(MeasuredSweeper(sweeper, metrics)),
        upkeep=upkeep,
        dispatcher=PacedDispatcher(MeasuredDispatcher(dispatcher, metrics)),
        unwritten=accounts.unwritten,
        limiter=limiter,
        traces=traces,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accounts:
    """What has to do with the tokens of accounts."""

    source: RenewingTokenSource
    health: TokenHealth
    inspector: Inspector
    connector: Connector
    unwritten: UnwrittenTokens
    portals: ConnectedPortals
    portal_tokens: PortalTokens


def _accounts(
    settings: WorkerSettings,
    database: MongoDatabase,
    transport: Transport,
    metrics: ExportMetrics,
    clock: MongoClock,
) -> _Accounts:
    tokens = MongoTokenStore(database, TokenEncryption(settings.token_encryption_keys))
    connections, portals = MongoConnectionStore(database), MongoPortalStore(database)
    unwritten = UnwrittenTokens()
    addresses = TokenAddresses(settings.hubspot_token_endpoint, memory=MongoTokenEndpoints(database))
    endpoint = TokenEndpoint(
        transport=transport,
        addresses=addresses,
        client_id=settings.hubspot_client_id,
        client_secret=settings.hubspot_client_secret,
    )
    information = TokenInformation(
        transport=transport,
        addresses=addresses,
        client_id=settings.hubspot_client_id,
        client_secret=settings.hubspot_client_secret,
    )
    source = RenewingTokenSource(
        store=tokens,
        leases=MongoRenewalLeases(database),
        endpoint=MeasuredRenewals(endpoint, metrics),
        client_id=settings.hubspot_client_id,
        connections=connections,
        unwritten=unwritten,
        clock=clock,
    )
    return _Accounts(
        source=source,
        health=TokenHealth(connections=connections, tokens=tokens),
        inspector=Inspector(
            tokens=tokens, source=source, information=information, connections=connections, clock=clock
        ),
        connector=Connector(
            endpoint=endpoint,
            information=information,
            tokens=tokens,
            connections=connections,
            unwritten=unwritten,
            portals=portals,
            clock=clock,
        ),
        portals=ConnectedPortals(connections=connections, tokens=tokens, portals=portals),
        portal_tokens=PortalTokens(
            source=source,
            tokens=tokens,
            information=information,
            connections=connections,
            portals=portals,
            clock=clock,
        ),
        unwritten=unwritten,
    )


def longest_slice_s(settings: WorkerSettings) -> float:
    """After so long a slice is stuck, and its lease is let go: as long as it may take with the slowest answers."""
    call_s = CONNECT_S + settings.hubspot_timeout_seconds
    calls_s = _CALLS_A_PAGE * (call_s + _STORE_TIMEOUT_S) + FURTHER_CALLS_S
    return settings.slice_seconds + calls_s + _STUCK_MARGIN_S


def _planner(
    settings: WorkerSettings, accounts: _Accounts, jobs: MongoJobStore, transport: Transport, clock: MongoClock
) -> Planner:
    is_dated = settings.hubspot_api == "dated"
    objects_url = settings.hubspot_objects_endpoint
    return Planner(
        PlannerTools(
            facts=accounts.inspector,
            tokens=accounts.source,
            counter=SearchTotals(transport=transport, objects_url=objects_url) if is_dated else None,
            jobs=jobs,
            rate=settings.hubspot_rate_limit,
            most_a_call=MOST_RECORDS if is_dated else max(each.most_records for each in PAGE_FORMATS.values()),
            clock=clock,
        )
    )


def _deliverer(
    settings: WorkerSettings,
    database: MongoDatabase,
    stopping: threading.Event,
    metrics: ExportMetrics,
    clock: MongoClock,
) -> Deliverer:
    return Deliverer(
        deliveries=MongoDeliveryStore(database),
        jobs=MongoJobStore(database),
        pages=MongoPageStore(database),
        sender=MeasuredSender(GuardedSender(allow_private=settings.webhook_allow_private, clock=clock), metrics),
        signer=Signer(settings.webhook_secret),
        lines=WaitingLines(
            threads=_DELIVERING,
            waiting=_WAITING,
            stopping=stopping,
            name="delivering",
        ),
        clock=clock,
    )


def _limiter(settings: WorkerSettings) -> RedisRateLimiter | NoRateLimit:
    redis, rate = impatient_redis(settings.redis), settings.hubspot_rate_limit
    app_id = settings.hubspot_client_id
    return RedisRateLimiter(redis, rate, app=app_id) if rate is not None else NoRateLimit(redis, app=app_id)


def _source(settings: WorkerSettings, transport: Transport) -> CrmSource:
    endpoints = legacy_endpoints(settings)
    legacy = LegacyClient(transport=transport, endpoints=endpoints)
    dated = DatedClient(transport=transport, objects_url=settings.hubspot_objects_endpoint, legacy=endpoints)
    return CrmClient(legacy=legacy, dated=dated)


def _connect(settings: WorkerSettings) -> MongoDatabase:
    uri = settings.mongodb_uri.get_secret_value()
    return connect(uri, database=settings.mongodb_database, timeout_s=_STORE_TIMEOUT_S)


@signals.celeryd_init.connect
def check_settings(instance: Any = None, **_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Refuse to start a worker with wrong settings: one line, exit status 2."""
    load(WorkerSettings)
    kombu_repair.apply()
    broker_time.install(broker_time.BrokerTime())
    worker_features.leave_out_what_is_not_used()
    if instance is not None and instance.hostname == default_nodename(""):
        # RabbitMQ gives the queue that a worker is asked through to one worker of that name: a second one on the same
        # machine would end with exit status 1.
        instance.hostname = nodename(f"celery-{os.getpid()}", socket.gethostname())


@signals.setup_logging.connect
def set_logs_up(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Log in our format; with this handler connected Celery leaves logging alone."""
    settings = load(BrokerSettings)
    configure_logs(settings.log_format, settings.log_level)


@signals.worker_ready.connect
def prepare_the_database(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Create indexes beside the work: the queries are right without them, and MongoDB may be away for now."""
    threading.Thread(target=_ensure_indexes, name="indexes", daemon=True).start()


@signals.celeryd_init.connect
def end_with_the_parent(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Stop as by SIGTERM when the parent of several workers was killed: nothing would supervise this one."""
    if (parent := started_by()) is not None:
        threading.Thread(target=end_with, args=(parent,), name="parent", daemon=True).start()


@signals.worker_ready.connect
def show_metrics(sender: Any, **_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Serve what this process counts. A pool that forks counts in its children, whom nobody could ask one by one."""
    settings = load(WorkerSettings)
    if settings.metrics_port is None or is_counted_elsewhere():
        return
    if type(sender.pool).__module__.endswith(".prefork"):
        _log.warning("metrics_not_served", reason="a pool of processes has none: use the pool of threads")
        return
    serve_metrics(_registry_of(os.getpid()), host=settings.metrics_host, port=settings.metrics_port)


@signals.worker_shutdown.connect
@signals.worker_process_shutdown.connect
def leave_nothing_behind(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Write the tokens that only this process has, and report the last calls and slices."""
    if _services_of.cache_info().currsize:
        services().unwritten.close(within_s=LONGEST_GOODBYE_S)
        services().limiter.flush()
        services().traces.close()


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
