"""`/healthz`, `/readyz` and `/metrics`: what operators and their tools ask a process."""

from __future__ import annotations

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from api_shim.operations.metrics import Exposition
from api_shim.operations.readiness import Readiness
from api_shim.responses.errors import ERROR_ANSWERS

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> dict[str, bool]:
    """Report that the process is alive, whatever else is not."""
    return {"success": True}


@router.get("/readyz", summary="Is it ready to work", responses={503: ERROR_ANSWERS[503]})
async def readyz(request: Request) -> dict[str, bool]:
    """Report whether MongoDB and the broker can be reached; 503 with the reason otherwise."""
    readiness: Readiness = request.app.state.readiness
    await readiness.check()
    return {"success": True}


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return the metrics of this process and the state of all jobs, in Prometheus' text format."""
    exposition: Exposition = request.app.state.exposition
    own_threads: CapacityLimiter = request.app.state.scrape_threads
    content = await anyio.to_thread.run_sync(exposition.render, limiter=own_threads)
    return Response(content, headers={"content-type": exposition.content_type})
