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

import structlog
from prometheus_client import CollectorRegistry

from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.encryption import TokenEncryption
from worker.accounts.health import TokenHealth
from worker.accounts.mongo.connections import MongoConnectionStore
from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.accounts.mongo.portals import MongoPortalStore
from worker.accounts.mongo.renewals import MongoRenewalLeases
from worker.accounts.mongo.token_endpoints import MongoTokenEndpoints
from worker.accounts.mongo.tokens import MongoTokenStore
from worker.app import app
from worker.broker.redis_client import impatient_redis, redis_client
from worker.current_copy.comparison import Comparison
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.upkeep import CopyUpkeep
from worker.current_copy.writer import CurrentCopy
from worker.export.api_choice import ApiChoice
from worker.export.context import ExportContext, SliceLimits
from worker.export.interfaces import CrmSource, SliceRunner
from worker.export.leases import LeaseKeeper
from worker.export.page_fetcher import FURTHER_CALLS_S
from worker.export.runner import Exporter
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.dated_format import MOST_RECORDS
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.instrumented import MeasuredRenewals, WatchedCalls
from worker.hubspot.oauth.authorizer import CodeExchanger
from worker.hubspot.oauth.introspector import TokenIntrospector
from worker.hubspot.oauth.portals import PortalTokens
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_information import TokenInformation
from worker.hubspot.oauth.token_source import TokenProvider
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens
from worker.hubspot.record_count import SearchTotals
from worker.hubspot.transport import CONNECT_S, Sessions, Transport
from worker.instrumented import (
    MeasuredChooser,
    MeasuredDispatcher,
    MeasuredExporter,
    MeasuredLimiter,
    MeasuredNotifier,
    MeasuredQueue,
    MeasuredSender,
    MeasuredSource,
    MeasuredSweeper,
)
from worker.instrumented_tracing import SliceSpans, TracedRpcServer, TracedSyncer
from worker.jobs.mongo.jobs import MongoJobStore
from worker.lifecycle.actions import JobActions
from worker.lifecycle.adoption import JobAdoption
from worker.lifecycle.due_work import UNFOLLOWED_AFTER_S, UNSETTLED_AFTER_S
from worker.lifecycle.interfaces import SweepRunner, SyncStarter, UpkeepStore
from worker.lifecycle.mongo.upkeep import MongoUpkeepStore
from worker.lifecycle.orphaned_pages import OrphanedPages
from worker.lifecycle.planner import Planner, PlannerTools
from worker.lifecycle.storage_cap import StoredBytesCap
from worker.lifecycle.sweeper import Sweeper, SweepLimits
from worker.lifecycle.sync_starter import Syncer
from worker.messaging.backlog import Backlog
from worker.messaging.celery_queues import CeleryDeliveryQueue, CeleryJobQueue, CelerySyncQueue, message_headers
from worker.messaging.delayed_queue import DelayedPublisher
from worker.messaging.notifier import RedisJobNotifier
from worker.mongo.database import MongoDatabase, connect
from worker.mongo.server_clock import MongoClock
from worker.mongo.spoiled import SpoiledDocuments
from worker.mongo.transactions import MongoTransactions
from worker.pages.mongo.pages import MongoPageStore
from worker.rate_limit.limiter import NoRateLimit, RedisRateLimiter
from worker.records.registry import OBJECT_TYPES
from worker.rpc.interfaces import RpcHandler
from worker.rpc.mongo.requests import MongoRpcRequestStore
from worker.rpc.server import RpcServer
from worker.schedules.dispatcher import Dispatcher
from worker.schedules.interfaces import DispatchRunner
from worker.schedules.mongo import MongoScheduleStore
from worker.schedules.pacing import PacedDispatcher, PacedSweeper
from worker.settings import WorkerSettings, load
from worker.telemetry.metrics import ExportMetrics, JobMetrics, new_registry
from worker.telemetry.provider import open_traces
from worker.telemetry.tracing import Traces
from worker.webhooks.deliverer import Deliverer
from worker.webhooks.due_deliveries import DueDeliveries
from worker.webhooks.keyed_pool import KeyedThreadPool
from worker.webhooks.mongo import MongoDeliveryStore
from worker.webhooks.sender import SsrfSafeSender
from worker.webhooks.signature import Signer

_STORE_TIMEOUT_S = 10.0
_TRANSACTION_S = 30.0  # of several calls; only the job waits for it, and a thread renews its lease meanwhile
_REDIS_TIMEOUT_S = 2.0
_QUIET_S = 60.0  # after which an attempt to deliver a webhook is published for again
_BATCH = 500
_STUCK_MARGIN_S = 60.0
_CALLS_A_PAGE = 3  # at their slowest: two for the token and its portal, and the page's own
_DELIVERING, _WAITING = 32, 25  # threads, and how much waits for one; the rest stays in the database
_MOST_STORING = 1024  # threads that store: made when they are needed, a few for each slice at work
_MOST_CALLING = 1024  # the same for calls of exports that have several under way at once
_MOST_SPARE_CALLS = 64  # under way in this process beyond one for each slice: what they bring takes memory

_log = structlog.get_logger()
stopping = threading.Event()
_building = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the tasks call."""

    exporter: SliceRunner
    syncer: SyncStarter
    rpc_server: RpcHandler
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
        return services_of(os.getpid())


@cache
def services_of(pid: int) -> Services:
    """Return the objects of a process, by its id: what a parent has built is not its children's."""
    return build(load(WorkerSettings), stopping=stopping, registry=registry_of(pid))


@cache
def registry_of(_pid: int) -> CollectorRegistry:
    """Return the metrics registry of a process."""
    return new_registry()


def build(settings: WorkerSettings, *, stopping: threading.Event, registry: CollectorRegistry) -> Services:
    """Wire a worker; nothing is connected before it is used."""
    metrics, job_metrics = ExportMetrics(registry), JobMetrics(registry)
    traces = open_traces(
        settings.otel_exporter_otlp_endpoint, service=settings.otel_service_name or "hubspot-export-worker"
    )
    database = connect_to_mongodb(settings)
    redis = redis_client(settings.redis, timeout_s=_REDIS_TIMEOUT_S)
    clock, spoiled = MongoClock(database), SpoiledDocuments(job_metrics.count_spoiled)
    jobs, pages = MongoJobStore(database, spoiled=spoiled), MongoPageStore(database, spoiled=spoiled)
    sessions = Sessions(patience_s=settings.hubspot_timeout_seconds, stopping=stopping, clock=clock)
    calls = WatchedCalls(sessions.send, metrics=metrics, traces=traces)
    transport = Transport(calls.send)
    watched_queue = CeleryJobQueue(app, now=jobs.now)
    queue = MeasuredQueue(watched_queue, job_metrics)
    notifier = RedisJobNotifier(redis)
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
    tools = ExportContext(
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
        notifier=MeasuredNotifier(notifier, job_metrics),
        limiter=MeasuredLimiter(limiter, metrics),
        forecaster=planner,
        backlog=Backlog(watched_queue),
        storing=ThreadPoolExecutor(_MOST_STORING, thread_name_prefix="storing"),
        calling=ThreadPoolExecutor(_MOST_CALLING, thread_name_prefix="calling"),
        lanes=settings.export_lanes,
        spare_calls=threading.BoundedSemaphore(_MOST_SPARE_CALLS),
        delayed=DelayedPublisher(queue, jobs=jobs),
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
    control = JobActions(jobs=jobs, pages=pages, queue=queue, result_ttl=result_ttl, clock=clock)
    deliveries = MongoDeliveryStore(database)
    rounds = DueDeliveries(deliveries=deliveries, queue=CeleryDeliveryQueue(app), quiet_s=_QUIET_S)
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
    rpc_server = RpcServer(
        rpc_requests=MongoRpcRequestStore(database, TokenEncryption(settings.token_encryption_keys)),
        connector=accounts.connector,
        planner=planner,
        notifier=notifier,
        clock=clock,
    )
    return Services(
        exporter=MeasuredExporter(exporter, metrics),
        syncer=TracedSyncer(syncer, traces, headers=headers),
        rpc_server=TracedRpcServer(rpc_server, traces, headers=headers),
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

    source: TokenProvider
    health: TokenHealth
    inspector: TokenIntrospector
    connector: CodeExchanger
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
    source = TokenProvider(
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
        inspector=TokenIntrospector(
            tokens=tokens, source=source, information=information, connections=connections, clock=clock
        ),
        connector=CodeExchanger(
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
            most_a_call=MOST_RECORDS if is_dated else max(each.page.most_records for each in OBJECT_TYPES.values()),
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
        sender=MeasuredSender(SsrfSafeSender(allow_private=settings.webhook_allow_private, clock=clock), metrics),
        signer=Signer(settings.webhook_secret),
        lines=KeyedThreadPool(
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


def connect_to_mongodb(settings: WorkerSettings) -> MongoDatabase:
    """Connect as the worker does: with time-outs, and majority writes."""
    uri = settings.mongodb_uri.get_secret_value()
    return connect(uri, database=settings.mongodb_database, timeout_s=_STORE_TIMEOUT_S)
