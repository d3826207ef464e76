"""`/healthz` and `/readyz`."""

from __future__ import annotations

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request

from api_shim.errors import ERROR_ANSWERS
from api_shim.readiness import Readiness
from worker.errors import BrokerUnavailableError

router = APIRouter(tags=["health"])

_WITHIN_S = 2.5


@router.get("/healthz")
async def healthz() -> dict[str, bool]:
    """Say that the process is alive, whatever else is not."""
    return {"success": True}


@router.get("/readyz", responses={503: ERROR_ANSWERS[503]})
async def readyz(request: Request) -> dict[str, bool]:
    """Say whether MongoDB and the broker can be reached; 503 with the reason otherwise."""
    readiness: Readiness = request.app.state.readiness
    with anyio.move_on_after(_WITHIN_S):
        await anyio.to_thread.run_sync(readiness.check, abandon_on_cancel=True)
        return {"success": True}
    raise BrokerUnavailableError  # MongoDB's absence is told sooner
