"""What routes are given: the caller, the type that was asked for, the headers' wishes, the body, the services."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import WithJsonSchema
from starlette.requests import ClientDisconnect

from api_shim.auth.jwt import SCOPES, Caller, InsufficientScopeError, JwtVerifier
from api_shim.operations.request_rate import RequestRate
from api_shim.requests.errors import UnsupportedEncodingError, UnsupportedTypeError
from api_shim.requests.idempotency import LONGEST_KEY, read_key
from api_shim.requests.preferences import Preferences, read_preferences
from api_shim.requests.schemas import RecordNumber
from api_shim.services.connections import ConnectionService
from api_shim.services.exports import ExportService
from api_shim.services.plans import PlanService
from api_shim.services.records import RecordService
from api_shim.services.schedules import ScheduleService
from worker.errors import InvalidRequestError
from worker.records.types import CopyId, ExportType

_MOST_BODY_BYTES = 64 * 1024
_BODY_WITHIN_S = 10.0
_SECOND_LOOK_S = 0.1
_AS_IT_IS = "identity"

_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"}

_documented = HTTPBearer(auto_error=False, description="claims `account_id`, `uid`, `scope`, `exp`")


async def _caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_documented)]) -> Caller:
    return await caller_of(request)


async def caller_of(request: Request) -> Caller:
    """Return who asks. Raises UnauthorizedError, InsufficientScopeError, TooManyRequestsError, KeysUnavailableError."""
    verifier: JwtVerifier = request.app.state.verifier
    caller = await verifier.caller(request.headers.get("authorization"))
    structlog.contextvars.bind_contextvars(account_id=caller.account_id)
    rate: RequestRate = request.app.state.request_rate
    await rate.require_turn(caller.account_id, caller.uid)
    if caller.scopes.isdisjoint(SCOPES):
        raise InsufficientScopeError
    return caller


Authenticated = Depends(_caller)
"""For a router: nothing is done, nor said of what is wrong with a request, before its JWT was looked at."""
AuthenticCaller = Annotated[Caller, Authenticated]


async def _export_type(
    type: Annotated[str, Path(json_schema_extra={"enum": list(ExportType)})],  # noqa: A002 - the documented name
) -> ExportType:
    return export_type_of(type)


def export_type_of(name: str) -> ExportType:
    """Read the type in a path. Raises UnsupportedTypeError."""
    try:
        return ExportType(name)
    except ValueError:
        raise UnsupportedTypeError from None


async def _schedules(request: Request) -> ScheduleService:
    schedules: ScheduleService = request.app.state.schedules
    return schedules


AskedType = Annotated[ExportType, Depends(_export_type)]


async def _preferences(
    prefer: Annotated[
        list[str] | None,
        WithJsonSchema({"type": "string"}),
        Header(
            description="`wait=N`: answer after so many seconds at the latest; `respond-async`: at once (RFC 7240)",
            examples=["wait=20", "respond-async"],
        ),
    ] = None,
) -> Preferences:
    return read_preferences(prefer or [])


async def _idempotency_key(
    idempotency_key: Annotated[
        list[str] | None,
        WithJsonSchema(_KEY_SCHEMA),
        Header(
            description="Makes the request safe to repeat: within a day it has its effect only once",
            examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
        ),
    ] = None,
) -> str | None:
    return read_key(idempotency_key or [])


async def bounded_body(request: Request) -> bytes:
    """Read a body as `read_body` does, of 64 KB within 10 s."""
    return await read_body(request, most_bytes=_MOST_BODY_BYTES, within_s=_BODY_WITHIN_S)


async def read_body(request: Request, *, most_bytes: int, within_s: float) -> bytes:
    """Read a body, and stop as soon as it is too long or too slow.

    Raises InvalidRequestError, UnsupportedEncodingError.
    """
    if request.headers.get("content-encoding", _AS_IT_IS).strip().lower() not in {_AS_IT_IS, ""}:
        raise UnsupportedEncodingError
    body = bytearray()
    for patience_s in (within_s, _SECOND_LOOK_S):  # what came while this process was held up is read in another turn
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await _read_into(body, request, most_bytes=most_bytes)
                return bytes(body)
    raise InvalidRequestError(f"body: must arrive within {within_s:g} seconds")


async def _read_into(body: bytearray, request: Request, *, most_bytes: int) -> None:
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most_bytes:
                raise InvalidRequestError(f"body: must be at most {most_bytes} bytes")
    except ClientDisconnect:
        raise InvalidRequestError("body: was cut off") from None


def once_only(*names: str) -> Any:  # noqa: ANN401 - a route's dependency
    """Refuse a query that gives one of these twice; other parameters may repeat."""

    async def check(request: Request) -> None:
        given = [name for name, _ in request.query_params.multi_items()]
        for name in names:
            if given.count(name) > 1:
                raise InvalidRequestError(f"{name}: is given more than once")

    return Depends(check)


async def _records(request: Request) -> RecordService:
    service: RecordService = request.app.state.records
    return service


async def _copy(
    export_type: AskedType, caller: AuthenticCaller, service: Annotated[RecordService, Depends(_records)]
) -> CopyId:
    return await service.copy_of(caller, export_type)


async def _service(request: Request) -> ExportService:
    service: ExportService = request.app.state.exports
    return service


async def _connections(request: Request) -> ConnectionService:
    connections: ConnectionService = request.app.state.connections
    return connections


async def _plans(request: Request) -> PlanService:
    plans: PlanService = request.app.state.plans
    return plans


AskedJob = Annotated[str, Path(description="The job's id")]
AskedKey = Annotated[str | None, Depends(_idempotency_key)]
AskedPreferences = Annotated[Preferences, Depends(_preferences)]
BoundedBody = Annotated[bytes, Depends(bounded_body)]
OnceOnly = once_only("limit", "offset")
Exports = Annotated[ExportService, Depends(_service)]
AskedCopy = Annotated[CopyId, Depends(_copy)]
AskedRecord = Annotated[RecordNumber, Path(description="HubSpot's id of the record")]
Records = Annotated[RecordService, Depends(_records)]
Connections = Annotated[ConnectionService, Depends(_connections)]
Plans = Annotated[PlanService, Depends(_plans)]
Schedules = Annotated[ScheduleService, Depends(_schedules)]
