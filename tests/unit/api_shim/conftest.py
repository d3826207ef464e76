"""A running shim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from functools import cache, partial

import fakeredis
import pytest
import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.routing import BaseRoute
from structlog.testing import capture_logs
from structlog.typing import EventDict

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
from api_shim.operations.readiness import Readiness
from api_shim.operations.request_log import Instruments, origin_of_request
from api_shim.operations.request_rate import RequestRate
from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.connections import ConnectionService
from api_shim.services.definitions import DefinitionService
from api_shim.services.exports import ExportService
from api_shim.services.group_commit import GroupCommit
from api_shim.services.job_waiter import JobWaiter
from api_shim.services.plans import PlanService
from api_shim.services.records import RecordService
from api_shim.services.rpc_client import RpcClient
from api_shim.services.schedules import ScheduleService
from api_shim.services.webhook_rules import WebhookRules
from tests.fakes.clock import ManualClock
from tests.fakes.definitions import InMemoryDefinitionCache
from tests.fakes.erasures import InMemoryErasureStore
from tests.fakes.gone_lists import InMemoryGoneListStore
from tests.fakes.idempotency import InMemoryIdempotencyStore
from tests.fakes.portals import InMemoryPortalStore
from tests.fakes.queue import HoldingGroupQueue
from tests.fakes.records import InMemoryRecordStore
from tests.fakes.rpc_requests import InMemoryRpcRequestStore
from tests.fakes.schedules import InMemoryScheduleStore
from tests.fakes.stores import InMemoryJobStore
from tests.unit.api_shim.shim import RESULT_TTL, SECRET, Parts, Shim, token_of
from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.health import TokenHealth
from worker.accounts.known_tokens import KnownTokens
from worker.current_copy.upkeep import CopyUpkeep
from worker.lifecycle.actions import JobActions
from worker.lifecycle.caps import OpenJobCap, StoredBytesCap
from worker.lifecycle.submit import JobSubmitter
from worker.lifecycle.submit_group import GroupSubmitter
from worker.lifecycle.submit_once import KeyedSubmitter
from worker.lifecycle.sync_starter import StartingQueue, Syncer
from worker.messaging.bounded_queue import BoundedQueue
from worker.messaging.notifier import RedisJobNotifier
from worker.settings import ShimSettings
from worker.telemetry.metrics import JobMetrics
from worker.telemetry.tracing import NoTraces

Running = Callable[..., AbstractContextManager[Shim]]

_routes: list[BaseRoute] = []
_portals: list[BlockingPortal] = []


@pytest.fixture(scope="session", autouse=True)
def event_loop_thread() -> Iterator[None]:
    """Run one event loop for all shims of the session: a thread and a loop for each cost as much as many requests."""
    with start_blocking_portal() as portal:
        _portals.append(portal)
        yield
        _portals.remove(portal)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """Keep what is logged for the test to read, with what is bound to every line of a request."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        yield events


@pytest.fixture
def parts() -> Parts:
    return new_parts()


@pytest.fixture
def running(parts: Parts) -> Running:
    """Return what runs the shim with these settings beside the usual secret."""
    return lambda **settings: serving(parts, **settings)


@pytest.fixture
def shim(running: Running) -> Iterator[Shim]:
    with running() as shim:
        yield shim


def new_parts() -> Parts:
    """Return empty stores that know the usual caller's token."""
    clock = ManualClock()
    parts = Parts(
        clock=clock,
        jobs=InMemoryJobStore(clock),
        keys=InMemoryIdempotencyStore(clock),
        records=InMemoryRecordStore(clock),
        rpc_requests=InMemoryRpcRequestStore(clock),
        erasures=InMemoryErasureStore(clock),
        schedules=InMemoryScheduleStore(clock),
        gone_lists=InMemoryGoneListStore(clock),
        portals=InMemoryPortalStore(clock),
        definitions=InMemoryDefinitionCache(clock),
    )
    parts.tokens.put(token_of("a1", "u1"))
    return parts


@contextmanager
def serving(parts: Parts, **settings: object) -> Iterator[Shim]:
    """Run a shim over these parts."""
    app = _application(parts, _settings_of(**settings))
    _share_routes(app)
    portal = _portals[-1]
    with portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Shim(app=app, portal=portal, **{each.name: getattr(parts, each.name) for each in fields(parts)})


@cache
def _settings_of(**settings: object) -> ShimSettings:
    # Reading them takes a third of the time that it takes to build the application.
    return ShimSettings.model_validate({"jwt_secret": SECRET} | settings)


def _share_routes(app: FastAPI) -> None:
    # FastAPI prepares routes at the first request, which takes twice as long as all else that a test of the shim does.
    # They know nothing of the parts behind them, so that all applications of a process can have those of the first.
    if not _routes:
        _routes.extend(app.router.routes)
    app.router.routes[:] = _routes


def _application(parts: Parts, settings: ShimSettings) -> FastAPI:
    syncer = Syncer(jobs=parts.jobs, queue=parts.queue, clock=parts.clock)
    job_metrics = JobMetrics(parts.registry)
    open_jobs = OpenJobCap(jobs=parts.jobs, most=settings.max_open_jobs_per_account)
    storage = StoredBytesCap(
        jobs=parts.jobs,
        most=settings.max_stored_bytes_per_account,
        tell=job_metrics.count_storage_warning,
        monotonic=lambda: parts.clock().timestamp(),
    )
    submitter = JobSubmitter(
        jobs=parts.jobs,
        tokens=parts.tokens,
        queue=StartingQueue(parts.queue, syncer),
        open_jobs=open_jobs,
        storage=storage,
    )
    known_tokens = KnownTokens(parts.tokens, monotonic=lambda: parts.clock().timestamp())
    groups = GroupSubmitter(
        jobs=parts.jobs,
        tokens=known_tokens,
        keys=parts.keys,
        open_jobs=open_jobs,
        storage=storage,
        now=parts.clock,
    )
    waiter = JobWaiter(fakeredis.FakeAsyncRedis(server=parts.redis))
    waiting_limit = WaitingLimit(settings.max_waiting_requests_per_caller)
    rpc_requests = RpcClient(
        rpc_requests=parts.rpc_requests,
        queue=parts.rpc_request_queue,
        waiter=waiter,
        waiting_limit=waiting_limit,
        longest_wait_s=settings.export_wait_seconds,
    )
    present = ConnectedPortals(connections=parts.connections, tokens=parts.tokens, portals=parts.portals)
    health = TokenHealth(connections=parts.connections, tokens=parts.tokens)
    readings = (
        partial(read_jobs, parts.jobs),
        partial(read_connections, health),
        partial(read_gone_lists, parts.gone_lists),
    )
    parts.registry.register(StoredState(readings))
    parts.registry.register(ConnectionCounts(Connections(most=100)))
    service = ExportService(
        pages=parts.pages,
        submitter=submitter,
        keyed_submitter=KeyedSubmitter(submitter=submitter, jobs=parts.jobs, keys=parts.keys, clock=parts.clock),
        group_commit=GroupCommit(
            store=lambda group, within_s: groups.store(group),  # noqa: ARG005 - these stores answer at once
            start_publishing=BoundedQueue(HoldingGroupQueue(parts.queue)).start,
            mark_unpublished=parts.jobs.mark_unpublished,
            metrics=job_metrics,
        ),
        control=JobActions(
            jobs=parts.jobs,
            pages=parts.pages,
            queue=parts.queue,
            result_ttl=RESULT_TTL,
            clock=parts.clock,
            notifier=RedisJobNotifier(fakeredis.FakeRedis(server=parts.redis)),
            connections=parts.connections,
            portals=present,
        ),
        waiter=waiter,
        waiting_limit=waiting_limit,
        webhooks=WebhookRules(can_sign=bool(settings.webhook_secret), allow_private=settings.webhook_allow_private),
        clock=parts.clock,
        origin=partial(origin_of_request, NoTraces()),
    )
    definitions = DefinitionService(
        tokens=parts.tokens,
        connections=parts.connections,
        cache=parts.definitions,
        rpc_requests=rpc_requests,
        clock=parts.clock,
        is_enabled=settings.export_types.allows,
    )
    return create_app(
        service=service,
        record_service=RecordService(records=parts.records, eraser=parts.eraser, portals=present),
        connections=ConnectionService(
            settings=settings,
            tokens=parts.tokens,
            known_tokens=known_tokens,
            connections=parts.connections,
            gone_lists=parts.gone_lists,
            portals=parts.portals,
            copies=CopyUpkeep(records=parts.records, portals=parts.portals),
            rpc_requests=rpc_requests,
            clock=parts.clock,
        ),
        definitions=definitions,
        plans=PlanService(tokens=parts.tokens, rpc_requests=rpc_requests, clock=parts.clock),
        schedules=ScheduleService(
            schedules=parts.schedules,
            tokens=parts.tokens,
            connections=health,
            jitter_window_s=settings.schedule_jitter_seconds,
            clock=parts.clock,
            calculated=definitions.calculated,
        ),
        enabled=settings.export_types,
        verifier=JwtVerifier(settings),
        request_rate=RequestRate(
            fakeredis.FakeAsyncRedis(server=parts.redis), per_second=settings.max_requests_per_second
        ),
        readiness=Readiness({}),
        instruments=Instruments(
            requests=RequestMetrics(parts.registry, waiting=lambda: waiting_limit.waiting),
            exposition=Exposition(parts.registry),
            traces=NoTraces(),
        ),
        export_wait_s=10,
        prepare=lambda: None,
    )
