"""The shim's composition root: settings in, application out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from api_shim.app import create_app
from api_shim.auth.jwt import JwtVerifier
from api_shim.operations.http_connections import Connections
from api_shim.operations.metrics import (
    ConnectionCounts,
    Exposition,
    RequestMetrics,
    StoredState,
    read_connections,
    read_gone_lists,
    read_jobs,
)
from api_shim.operations.readiness import Readiness, reach_broker, reach_database
from api_shim.operations.request_log import Instruments, origin_of_request
from api_shim.operations.request_rate import RequestRate
from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.connections import ConnectionService
from api_shim.services.exports import ExportService
from api_shim.services.group_commit import MOST_AT_ONCE, GroupCommit
from api_shim.services.job_waiter import JobWaiter
from api_shim.services.plans import PlanService
from api_shim.services.records import RecordService
from api_shim.services.rpc_client import RpcClient
from api_shim.services.schedules import ScheduleService
from api_shim.services.webhook_rules import WebhookRules
from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.encryption import TokenEncryption
from worker.accounts.health import TokenHealth
from worker.accounts.known_tokens import KnownTokens
from worker.accounts.mongo.connections import MongoConnectionStore
from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.accounts.mongo.portals import MongoPortalStore
from worker.accounts.mongo.tokens import MongoTokenStore
from worker.app import app as celery_app
from worker.broker.redis_client import async_redis_client, impatient_redis
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.upkeep import CopyUpkeep
from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.indexes import ensure_indexes
from worker.instrumented.metrics import MeasuredNotifier, MeasuredQueue
from worker.instrumented.tracing import PublishSpans, TracedQueue
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.turn import StoredJobs
from worker.lifecycle.actions import JobActions
from worker.lifecycle.mongo.idempotency import MongoIdempotencyStore
from worker.lifecycle.open_job_cap import OpenJobCap
from worker.lifecycle.storage_cap import StoredBytesCap
from worker.lifecycle.submit import JobSubmitter
from worker.lifecycle.submit_group import GroupSubmitter, NewJob
from worker.lifecycle.submit_once import KeyedSubmitter
from worker.lifecycle.sync_starter import StartingQueue, Syncer
from worker.messaging.bounded_queue import BoundedQueue
from worker.messaging.celery_queues import CeleryGroupQueue, CeleryJobQueue, CeleryRpcQueue, answer_quickly
from worker.messaging.notifier import RedisJobNotifier
from worker.mongo.database import MongoDatabase, connect, time_limit
from worker.mongo.server_clock import MongoClock
from worker.mongo.spoiled import SpoiledDocuments
from worker.mongo.transactions import MongoTransactions
from worker.pages.mongo.pages import MongoPageStore
from worker.rpc.mongo.requests import MongoRpcRequestStore
from worker.schedules.mongo import MongoScheduleStore
from worker.settings import ShimSettings
from worker.telemetry.metrics import JobMetrics, new_registry
from worker.telemetry.provider import open_traces

_STORE_TIMEOUT_S = 2.0  # a client is told within 3 s that the database is away
_HEALTH_CHECK_S = 15
_LONGEST_ERRAND_S = 25.0  # a browser waits at the other end


def build(settings: ShimSettings, *, connections: Connections) -> FastAPI:
    """Wire the shim. Nothing is connected before the application starts."""
    database = connect(
        settings.mongodb_uri.get_secret_value(),
        database=settings.mongodb_database,
        timeout_s=_STORE_TIMEOUT_S,
    )
    clock = MongoClock(database, waits=False)
    jobs = MongoJobStore(database)
    encryption = TokenEncryption(settings.token_encryption_keys)
    tokens, hubspot_connections = MongoTokenStore(database, encryption), MongoConnectionStore(database)
    portals = MongoPortalStore(database)
    present = ConnectedPortals(connections=hubspot_connections, tokens=tokens, portals=portals)
    registry = new_registry()
    job_metrics = JobMetrics(registry)
    spoiled = SpoiledDocuments(job_metrics.count_spoiled)
    pages, records = MongoPageStore(database, spoiled=spoiled), MongoRecordStore(database, spoiled)
    traces = open_traces(
        settings.otel_exporter_otlp_endpoint, service=settings.otel_service_name or "hubspot-export-shim"
    )
    answer_quickly(celery_app)
    broker = CeleryJobQueue(celery_app, now=jobs.now, headers=lambda _: traces.headers())
    queue = MeasuredQueue(TracedQueue(BoundedQueue(broker), traces), job_metrics)
    news = async_redis_client(settings.redis, health_check_interval=_HEALTH_CHECK_S, socket_keepalive=True)
    syncer = Syncer(jobs=jobs, queue=queue, clock=clock)
    open_jobs = OpenJobCap(jobs=jobs, most=settings.max_open_jobs_per_account)
    storage = StoredBytesCap(
        jobs=jobs, most=settings.max_stored_bytes_per_account, tell=job_metrics.count_storage_warning
    )
    submitter = JobSubmitter(
        jobs=jobs, tokens=tokens, queue=StartingQueue(queue, syncer), open_jobs=open_jobs, storage=storage
    )
    keys, known_tokens = MongoIdempotencyStore(database), KnownTokens(tokens)
    groups = GroupSubmitter(
        jobs=jobs, tokens=known_tokens, keys=keys, open_jobs=open_jobs, storage=storage, now=jobs.now
    )
    # As many threads again: one whose outcome is known is not free in the same instant.
    group_queue = BoundedQueue(
        CeleryGroupQueue(celery_app, headers=PublishSpans(traces)), most_at_once=2 * MOST_AT_ONCE
    )
    waiter = JobWaiter(news)
    waiting_limit = WaitingLimit(settings.max_waiting_requests_per_caller)
    eraser = Eraser(
        jobs=jobs,
        erasures=MongoErasureStore(database),
        records=records,
        pages=pages,
        transactions=MongoTransactions(database),
    )
    rpc_requests = RpcClient(
        rpc_requests=MongoRpcRequestStore(database, encryption),
        queue=BoundedQueue(CeleryRpcQueue(celery_app, headers=traces.headers)),
        waiter=waiter,
        waiting_limit=waiting_limit,
        longest_wait_s=min(settings.export_wait_seconds, _LONGEST_ERRAND_S),
    )
    service = ExportService(
        pages=pages,
        submitter=submitter,
        keyed_submitter=KeyedSubmitter(submitter=submitter, jobs=jobs, keys=keys, clock=clock),
        group_commit=GroupCommit(
            store=partial(_store, groups),
            start_publishing=group_queue.start,
            mark_unpublished=jobs.mark_unpublished,
            metrics=job_metrics,
        ),
        control=JobActions(
            jobs=jobs,
            pages=pages,
            queue=queue,
            result_ttl=timedelta(days=settings.result_ttl_days),
            clock=clock,
            notifier=MeasuredNotifier(RedisJobNotifier(impatient_redis(settings.redis)), job_metrics),
            connections=hubspot_connections,
            portals=present,
        ),
        waiter=waiter,
        waiting_limit=waiting_limit,
        webhooks=WebhookRules(can_sign=bool(settings.webhook_secret), allow_private=settings.webhook_allow_private),
        clock=clock,
        origin=partial(origin_of_request, traces),
    )
    health = TokenHealth(connections=hubspot_connections, tokens=tokens)
    gone_lists = MongoGoneListStore(database)
    readings = (partial(read_jobs, jobs), partial(read_connections, health), partial(read_gone_lists, gone_lists))
    registry.register(StoredState(readings))
    registry.register(ConnectionCounts(connections))
    return create_app(
        service=service,
        record_desk=RecordService(records=records, eraser=eraser, portals=present),
        connections=ConnectionService(
            settings=settings,
            tokens=tokens,
            known_tokens=known_tokens,
            connections=hubspot_connections,
            gone_lists=gone_lists,
            portals=portals,
            copies=CopyUpkeep(records=records, portals=portals),
            rpc_requests=rpc_requests,
            clock=clock,
        ),
        plans=PlanService(tokens=tokens, rpc_requests=rpc_requests, clock=clock),
        schedules=ScheduleService(
            schedules=MongoScheduleStore(database),
            tokens=tokens,
            connections=health,
            jitter_window_s=settings.schedule_jitter_seconds,
            clock=clock,
        ),
        verifier=JwtVerifier(settings),
        request_rate=RequestRate(async_redis_client(settings.redis), per_second=settings.max_requests_per_second),
        readiness=Readiness(
            {
                StoreUnavailableError: partial(_reach_database, database, clock),
                BrokerUnavailableError: partial(reach_broker, celery_app),
            }
        ),
        instruments=Instruments(
            requests=RequestMetrics(registry, waiting=lambda: waiting_limit.waiting),
            exposition=Exposition(registry),
            traces=traces,
        ),
        export_wait_s=settings.export_wait_seconds,
        prepare=partial(_prepare, database, clock),
    )


def _store(groups: GroupSubmitter, group: Sequence[NewJob], *, within_s: float) -> StoredJobs:
    with time_limit(within_s):
        return groups.store(group)


def _prepare(database: MongoDatabase, clock: MongoClock) -> None:
    """Know the time before the first request comes, and have the indexes there. Raises StoreUnavailableError."""
    clock.ask()
    ensure_indexes(database)


def _reach_database(database: MongoDatabase, clock: MongoClock) -> None:
    """Return when MongoDB answers and its time is known. Raises StoreUnavailableError."""
    reach_database(database)
    clock.ask()
