"""create_app: the shim as a FastAPI application, from parts that arrive as arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import JwtVerifier
from api_shim.documentation import DESCRIPTION, TAGS, TITLE, DocumentedApi
from api_shim.operations.readiness import Readiness
from api_shim.operations.request_log import Instruments, RequestLog
from api_shim.operations.request_rate import RequestRate
from api_shim.responses.errors import install_error_handlers
from api_shim.routes import connections as connection_routes
from api_shim.routes import definitions as definition_routes
from api_shim.routes import docs, downloads, exports, health, jobs, records, syncs
from api_shim.routes import schedules as schedule_routes
from api_shim.routes.direct import Answer, DirectRoute, DirectRoutes
from api_shim.services.connections import ConnectionService
from api_shim.services.definitions import DefinitionService
from api_shim.services.exports import ExportService
from api_shim.services.plans import PlanService
from api_shim.services.records import RecordService
from api_shim.services.schedules import ScheduleService
from api_shim.services.type_names import TypeNames
from worker.errors import StoreUnavailableError
from worker.jobs.view import BASE_PATH
from worker.records.enabled_types import EnabledTypes

_log = structlog.get_logger()
_MOST_SCRAPES = 2
_DOWNLOAD_THREADS = 2  # downloads share these, so that they exhaust neither the common pool nor the processor


def create_app(  # noqa: PLR0913 - everything it is made of, each by name
    *,
    service: ExportService,
    record_service: RecordService,
    connections: ConnectionService,
    plans: PlanService,
    definitions: DefinitionService,
    schedules: ScheduleService,
    enabled: EnabledTypes,
    verifier: JwtVerifier,
    request_rate: RequestRate,
    readiness: Readiness,
    instruments: Instruments,
    export_wait_s: float,
    prepare: Callable[[], None],
) -> FastAPI:
    """Build the application. `prepare` is called once at start, in a thread; MongoDB may be away then."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # A shim that starts while MongoDB is away answers 503 until it is back.
        with suppress(StoreUnavailableError):
            await run_in_threadpool(prepare)
        listening = asyncio.create_task(service.waiter.listen())
        yield
        await _end(listening)
        service.group_commit.close()
        await request_rate.close()
        await run_in_threadpool(instruments.traces.close)

    app = DocumentedApi(
        title=TITLE,
        description=DESCRIPTION,
        version="0.1.0",
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
        redirect_slashes=False,  # an unknown path is a 404 in the documented body
        docs_url=None,
        redoc_url=None,
        # FastAPI's own spans would hold whole paths and queries.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.exports = service
    app.state.actions = service.control
    app.state.records = record_service
    app.state.connections = connections
    app.state.plans = plans
    app.state.definitions = definitions
    app.state.schedules = schedules
    app.state.type_names = TypeNames(enabled=enabled, definitions=definitions)
    app.state.verifier = verifier
    app.state.request_rate = request_rate
    app.state.readiness = readiness
    app.state.exposition = instruments.exposition
    app.state.scrape_threads = CapacityLimiter(_MOST_SCRAPES)  # anyone may scrape, and the database may be slow
    app.state.export_wait_s = export_wait_s
    app.state.download_threads = CapacityLimiter(_DOWNLOAD_THREADS)
    for routes in (
        exports,
        syncs,
        jobs,
        downloads,
        schedule_routes,
        records,
        definition_routes,
        connection_routes,
    ):
        app.include_router(routes.router, prefix=BASE_PATH)
    app.include_router(health.router)
    app.include_router(docs.router)
    app.mount(docs.ASSETS, docs.assets())
    install_error_handlers(app)
    app.middleware_stack = RequestLog(DirectRoutes(app.build_middleware_stack(), _direct_routes(), of=app), instruments)
    return app


def _direct_routes() -> list[DirectRoute]:
    """Return the busiest routes: submitting a job, and asking for its state."""
    return [
        _direct("POST", "/export/{type}", router=exports.router, answer=exports.answer_export_all),
        _direct("GET", "/jobs/{job_id}", router=jobs.router, answer=jobs.answer_job),
    ]


def _direct(method: str, path: str, *, router: APIRouter, answer: Answer) -> DirectRoute:
    of_fastapi = (each for each in router.routes if isinstance(each, APIRoute) and each.path == path)
    documented = next(each for each in of_fastapi if method in (each.methods or ()))
    return DirectRoute(method=method, path=f"{BASE_PATH}{path}", documented=documented, answer=answer)


async def _end(task: asyncio.Task[None]) -> None:
    # More than once: before Python 3.12 `asyncio.wait_for`, which redis uses, may swallow a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.02)
