"""The shim's composition root: settings in, application out, service by service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from api_shim.app import create_app
from api_shim.auth.jwt import JwtVerifier
from api_shim.infrastructure import Infrastructure, build_infrastructure
from api_shim.operations.http_connections import Connections
from api_shim.operations.metrics import (
    ConnectionCounts,
    Exposition,
    Reading,
    RequestMetrics,
    StoredState,
    read_connections,
    read_gone_lists,
    read_jobs,
)
from api_shim.operations.readiness import Readiness, reach_broker, reach_database
from api_shim.operations.request_log import Instruments, origin_of_request
from api_shim.operations.request_rate import RequestRate
from api_shim.services.connections import ConnectionService
from api_shim.services.definitions import DefinitionService
from api_shim.services.exports import ExportService
from api_shim.services.group_commit import MOST_AT_ONCE, GroupCommit
from api_shim.services.plans import PlanService
from api_shim.services.records import RecordService
from api_shim.services.rpc_client import RpcClient
from api_shim.services.schedules import ScheduleService
from api_shim.services.webhook_rules import WebhookRules
from worker.app import app as celery_app
from worker.broker.redis_client import async_redis_client, impatient_redis
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.upkeep import CopyUpkeep
from worker.definitions.mongo import MongoDefinitionCache
from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.indexes import ensure_indexes
from worker.instrumented.metrics import MeasuredNotifier
from worker.instrumented.tracing import PublishSpans
from worker.jobs.turn import StoredJobs
from worker.lifecycle.actions import JobActions
from worker.lifecycle.caps import OpenJobCap, StoredBytesCap
from worker.lifecycle.mongo.idempotency import MongoIdempotencyStore
from worker.lifecycle.submit import JobSubmitter
from worker.lifecycle.submit_group import GroupSubmitter, NewJob
from worker.lifecycle.submit_once import KeyedSubmitter
from worker.lifecycle.sync_starter import StartingQueue, Syncer
from worker.messaging.bounded_queue import BoundedQueue
from worker.messaging.celery_groups import CeleryGroupQueue
from worker.messaging.celery_queues import CeleryRpcQueue, answer_quickly
from worker.messaging.notifier import RedisJobNotifier
from worker.mongo.database import MongoDatabase, time_limit
from worker.mongo.server_clock import MongoClock
from worker.mongo.transactions import MongoTransactions
from worker.rpc.mongo.requests import MongoRpcRequestStore
from worker.schedules.mongo.store import MongoScheduleStore
from worker.settings import ShimSettings
from worker.telemetry.metrics import JobMetrics, new_registry

_LONGEST_RPC_S = 25.0  # a browser waits at the other end
_REDIS_TIMEOUT_S = 1.0  # of a call that no request waits for any more


def build(settings: ShimSettings, *, connections: Connections) -> FastAPI:
    """Wire the shim. Nothing is connected before the application starts."""
    answer_quickly(celery_app)
    registry = new_registry()
    infra = build_infrastructure(settings, metrics=JobMetrics(registry))
    registry.register(StoredState(_readings(infra)))
    registry.register(ConnectionCounts(connections))
    rpc_requests = _rpc_client(infra)
    definitions = DefinitionService(
        tokens=infra.tokens,
        connections=infra.connections,
        cache=MongoDefinitionCache(infra.database),
        rpc_requests=rpc_requests,
        clock=infra.clock,
        is_enabled=settings.export_types.allows,
    )
    return create_app(
        service=_export_service(infra),
        record_service=_record_service(infra),
        connections=_connection_service(infra, rpc_requests),
        plans=PlanService(tokens=infra.tokens, rpc_requests=rpc_requests, clock=infra.clock),
        definitions=definitions,
        schedules=ScheduleService(
            schedules=MongoScheduleStore(infra.database),
            tokens=infra.tokens,
            connections=infra.health,
            jitter_window_s=settings.schedule_jitter_seconds,
            clock=infra.clock,
            calculated=definitions.calculated,
        ),
        enabled=settings.export_types,
        verifier=JwtVerifier(settings),
        request_rate=RequestRate(
            async_redis_client(
                settings.redis, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
            ),
            per_second=settings.max_requests_per_second,
        ),
        readiness=Readiness(
            {
                StoreUnavailableError: partial(_reach_database, infra.database, infra.clock),
                BrokerUnavailableError: partial(reach_broker, celery_app),
            }
        ),
        instruments=Instruments(
            requests=RequestMetrics(registry, waiting=lambda: infra.waiting_limit.waiting),
            exposition=Exposition(registry),
            traces=infra.traces,
        ),
        export_wait_s=settings.export_wait_seconds,
        prepare=partial(_prepare, infra.database, infra.clock),
    )


def _request_rate(settings: ShimSettings) -> RequestRate:
    redis = async_redis_client(settings.redis, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S)
    return RequestRate(redis, per_second=settings.max_requests_per_second)


def _export_service(infra: Infrastructure) -> ExportService:
    settings, jobs = infra.settings, infra.jobs
    keys = MongoIdempotencyStore(infra.database)
    open_jobs = OpenJobCap(jobs=jobs, most=settings.max_open_jobs_per_account)
    storage = StoredBytesCap(
        jobs=jobs, most=settings.max_stored_bytes_per_account, tell=infra.metrics.count_storage_warning
    )
    syncer = Syncer(jobs=jobs, queue=infra.queue, clock=infra.clock)
    submitter = JobSubmitter(
        jobs=jobs, tokens=infra.tokens, queue=StartingQueue(infra.queue, syncer), open_jobs=open_jobs, storage=storage
    )
    groups = GroupSubmitter(
        jobs=jobs, tokens=infra.known_tokens, keys=keys, open_jobs=open_jobs, storage=storage, now=jobs.now
    )
    return ExportService(
        pages=infra.pages,
        submitter=submitter,
        keyed_submitter=KeyedSubmitter(submitter=submitter, jobs=jobs, keys=keys, clock=infra.clock),
        group_commit=_group_commit(infra, groups),
        control=_job_actions(infra),
        waiter=infra.waiter,
        waiting_limit=infra.waiting_limit,
        webhooks=WebhookRules(can_sign=bool(settings.webhook_secret), allow_private=settings.webhook_allow_private),
        clock=infra.clock,
        origin=partial(origin_of_request, infra.traces),
    )


def _group_commit(infra: Infrastructure, groups: GroupSubmitter) -> GroupCommit:
    # Twice as many threads as groups: a thread is not free yet at the instant at which its outcome is known.
    group_queue = BoundedQueue(
        CeleryGroupQueue(celery_app, headers=PublishSpans(infra.traces)), most_at_once=2 * MOST_AT_ONCE
    )
    return GroupCommit(
        store=partial(_store, groups),
        start_publishing=group_queue.start,
        mark_unpublished=infra.jobs.mark_unpublished,
        metrics=infra.metrics,
    )


def _job_actions(infra: Infrastructure) -> JobActions:
    return JobActions(
        jobs=infra.jobs,
        pages=infra.pages,
        queue=infra.queue,
        result_ttl=timedelta(days=infra.settings.result_ttl_days),
        clock=infra.clock,
        notifier=MeasuredNotifier(
            RedisJobNotifier(impatient_redis(infra.settings.redis)), infra.metrics, infra.settings.export_types.kinds
        ),
        connections=infra.connections,
        portals=infra.present,
    )


def _rpc_client(infra: Infrastructure) -> RpcClient:
    return RpcClient(
        rpc_requests=MongoRpcRequestStore(infra.database, infra.encryption),
        queue=BoundedQueue(CeleryRpcQueue(celery_app, headers=infra.traces.headers)),
        waiter=infra.waiter,
        waiting_limit=infra.waiting_limit,
        longest_wait_s=min(infra.settings.export_wait_seconds, _LONGEST_RPC_S),
    )


def _record_service(infra: Infrastructure) -> RecordService:
    eraser = Eraser(
        jobs=infra.jobs,
        erasures=MongoErasureStore(infra.database),
        records=infra.records,
        pages=infra.pages,
        transactions=MongoTransactions(infra.database),
    )
    return RecordService(records=infra.records, eraser=eraser, portals=infra.present)


def _connection_service(infra: Infrastructure, rpc_requests: RpcClient) -> ConnectionService:
    return ConnectionService(
        settings=infra.settings,
        tokens=infra.tokens,
        known_tokens=infra.known_tokens,
        connections=infra.connections,
        gone_lists=infra.gone_lists,
        portals=infra.portals,
        copies=CopyUpkeep(records=infra.records, portals=infra.portals),
        rpc_requests=rpc_requests,
        clock=infra.clock,
    )


def _readings(infra: Infrastructure) -> Sequence[Reading]:
    return (
        partial(read_jobs, infra.jobs),
        partial(read_connections, infra.health),
        partial(read_gone_lists, infra.gone_lists),
    )


def _store(groups: GroupSubmitter, group: Sequence[NewJob], *, within_s: float) -> StoredJobs:
    with time_limit(within_s):
        return groups.store(group)


def _prepare(database: MongoDatabase, clock: MongoClock) -> None:
    """Read the database's time before the first request, and create the indexes. Raises StoreUnavailableError."""
    clock.ask()
    ensure_indexes(database)


def _reach_database(database: MongoDatabase, clock: MongoClock) -> None:
    """Return when MongoDB answers and its time is known. Raises StoreUnavailableError."""
    reach_database(database)
    clock.ask()
