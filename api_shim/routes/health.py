"""`/healthz` and `/readyz`."""

from __future__ import annotations

from fastapi import APIRouter, Request

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
