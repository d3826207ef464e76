"""`/metrics`: for Prometheus."""

from __future__ import annotations

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from api_shim.operations.metrics import Exposition

router = APIRouter(tags=["health"])


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return the metrics of this process and the state of all jobs, in Prometheus' text format."""
    exposition: Exposition = request.app.state.exposition
    own_threads: CapacityLimiter = request.app.state.scrape_threads
    content = await anyio.to_thread.run_sync(exposition.render, limiter=own_threads)
    return Response(content, headers={"content-type": exposition.content_type})
