"""What routes are given: the caller, the type in the path, what headers ask for, the body, the services."""

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
from api_shim.requests.errors import UnsupportedEncodingError
from api_shim.requests.idempotency import LONGEST_KEY, read_key
from api_shim.requests.preferences import Preferences, read_preferences
from api_shim.requests.schemas import RecordNumber
from api_shim.services.connections import ConnectionService
from api_shim.services.definitions import DefinitionService
from api_shim.services.exports import ExportService
from api_shim.services.plans import PlanService
from api_shim.services.records import RecordService
from api_shim.services.schedules import ScheduleService
from api_shim.services.type_names import TypeNames
from worker.errors import InvalidRequestError
from worker.lifecycle.actions import JobActions
from worker.records.types import DOCUMENTED_TYPES, ExportType

_MOST_BODY_BYTES = 64 * 1024
_MOST_BYTES_WITH_NAMES = 1024 * 1024
_LISTS_OF_NAMES = (b'"properties"', b'"associations"', b'"history"')
_BODY_WITHIN_S = 10.0
_SECOND_LOOK_S = 0.1
_AS_IT_IS = "identity"

_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"}

_documented = HTTPBearer(auto_error=False, description="claims `account_id`, `uid`, `scope`, `exp`")


async def _caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_documented)]) -> Caller:
    return await caller_of(request)


async def caller_of(request: Request) -> Caller:
    """Raise UnauthorizedError, InsufficientScopeError, TooManyRequestsError or KeysUnavailableError."""
    verifier: JwtVerifier = request.app.state.verifier
    caller = await verifier.caller(request.headers.get("authorization"))
    structlog.contextvars.bind_contextvars(account_id=caller.account_id)
    rate: RequestRate = request.app.state.request_rate
    await rate.require_turn(caller.account_id, caller.uid)
    if caller.scopes.isdisjoint(SCOPES):
        raise InsufficientScopeError
    return caller


Authenticated = Depends(_caller)
"""For a router: no request is read, or told what is wrong with it, before its JWT is verified."""
AuthenticCaller = Annotated[Caller, Authenticated]


def _part(name: str) -> Any:  # noqa: ANN401 - a route's dependency
    async def part(request: Request) -> Any:  # noqa: ANN401 - typed where it is asked for
        return getattr(request.app.state, name)

    return Depends(part)


Types = Annotated[TypeNames, _part("type_names")]


async def _export_type(
    caller: AuthenticCaller,
    types: Types,
    type: Annotated[str, Path(json_schema_extra={"enum": list(DOCUMENTED_TYPES)})],  # noqa: A002 - the documented name
) -> ExportType:
    return await types.resolve(caller, type)


AskedType = Annotated[ExportType, Depends(_export_type)]


async def _preferences(
    prefer: Annotated[
        list[str] | None,
        WithJsonSchema({"type": "string"}),
        Header(
            description="`wait=N`: answer within N seconds; `respond-async`: answer at once (RFC 7240)",
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
            description="Makes the request safe to repeat: for a day, repeating it has no further effect",
            examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
        ),
    ] = None,
) -> str | None:
    return read_key(idempotency_key or [])


async def bounded_body(request: Request) -> bytes:
    """Read a body of at most 64 KB within 10 s, as `read_body` does."""
    return await read_body(request, most_bytes=_MOST_BODY_BYTES, within_s=_BODY_WITHIN_S)


async def bounded_body_with_names(request: Request) -> bytes:
    """Read a body that may name thousands of properties: then at most 1 MB, otherwise as `bounded_body` does."""
    body = await read_body(request, most_bytes=_MOST_BYTES_WITH_NAMES, within_s=_BODY_WITHIN_S)
    if len(body) > _MOST_BODY_BYTES and not any(each in body for each in _LISTS_OF_NAMES):
        raise InvalidRequestError(f"body: must be at most {_MOST_BODY_BYTES} bytes")
    return body


async def read_body(request: Request, *, most_bytes: int, within_s: float) -> bytes:
    """Raise InvalidRequestError as soon as the body is too long or too slow, or UnsupportedEncodingError."""
    if request.headers.get("content-encoding", _AS_IT_IS).strip().lower() not in {_AS_IT_IS, ""}:
        raise UnsupportedEncodingError
    body = bytearray()
    # The event loop looks at its timers before its sockets: after a stall, bytes that arrived in time are read in
    # one more turn of the loop.
    for patience_s in (within_s, _SECOND_LOOK_S):
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
    """Refuse a query that repeats one of these; other parameters may repeat."""

    async def check(request: Request) -> None:
        given = [name for name, _ in request.query_params.multi_items()]
        for name in names:
            if given.count(name) > 1:
                raise InvalidRequestError(f"{name}: is given more than once")

    return Depends(check)


AskedJob = Annotated[str, Path(description="The job's id")]
AskedKey = Annotated[str | None, Depends(_idempotency_key)]
AskedPreferences = Annotated[Preferences, Depends(_preferences)]
BoundedBody = Annotated[bytes, Depends(bounded_body)]
BodyWithNames = Annotated[bytes, Depends(bounded_body_with_names)]
OnceOnly = once_only("limit", "offset")
AskedRecord = Annotated[RecordNumber, Path(description="HubSpot's id of the record")]
Exports = Annotated[ExportService, _part("exports")]
Actions = Annotated[JobActions, _part("actions")]
Definitions = Annotated[DefinitionService, _part("definitions")]
Records = Annotated[RecordService, _part("records")]
Connections = Annotated[ConnectionService, _part("connections")]
Plans = Annotated[PlanService, _part("plans")]
Schedules = Annotated[ScheduleService, _part("schedules")]
