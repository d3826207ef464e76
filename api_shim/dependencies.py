"""What routes are given: the caller, the type that was asked for, the desk."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api_shim.auth import SCOPES, Caller, InsufficientScopeError, JwtVerifier
from api_shim.errors import UnsupportedTypeError
from api_shim.exports import ExportDesk
from api_shim.preferences import Preferences, read_preferences
from worker.pages import ExportType

_documented = HTTPBearer(auto_error=False, description="claims `account_id`, `uid`, `scope`, `exp`")


async def _caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_documented)]) -> Caller:
    verifier: JwtVerifier = request.app.state.verifier
    caller = await verifier.caller(request.headers.get("authorization"))
    if caller.scopes.isdisjoint(SCOPES):
        raise InsufficientScopeError
    return caller


AuthenticCaller = Annotated[Caller, Depends(_caller)]


async def _export_type(type: str, _: AuthenticCaller) -> ExportType:  # noqa: A002 - the documented name
    try:
        return ExportType(type)
    except ValueError:
        raise UnsupportedTypeError from None


async def _preferences(request: Request, _: AuthenticCaller) -> Preferences:
    return read_preferences(request.headers.getlist("prefer"))


async def _desk(request: Request) -> ExportDesk:
    desk: ExportDesk = request.app.state.desk
    return desk


AskedType = Annotated[ExportType, Depends(_export_type)]
AskedPreferences = Annotated[Preferences, Depends(_preferences)]
Desk = Annotated[ExportDesk, Depends(_desk)]
