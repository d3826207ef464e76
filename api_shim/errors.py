"""Our error -> status, errno, message, code: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from api_shim.auth import InsufficientScopeError, UnauthorizedError
from worker.errors import (
    ExportError,
    InvalidRequestError,
    JobNotFoundError,
    JsonValue,
    TokenNotFoundError,
    UnavailableError,
)
from worker.jobs import IllegalChangeError, JobError
from worker.pages import ExportType

_log = structlog.get_logger()

_RETRY_AFTER_S = 2
_TOO_MANY_REQUESTS = 429
_BAD_GATEWAY = 502


class UnsupportedTypeError(ExportError):
    """There is no such type of export."""

    code = "unsupported_type"
    details = f"Given type is not supported. supported types are {', '.join(sorted(ExportType))}"

    def __init__(self) -> None:
        super().__init__("data not found on object of type")


class JobFailedError(ExportError):
    """The job that the caller waits for has failed."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    errno: int


_TABLE: Mapping[type[ExportError], _Row] = {
    UnauthorizedError: _Row(401, 400),
    InsufficientScopeError: _Row(403, 403),
    TokenNotFoundError: _Row(404, 400),
    UnsupportedTypeError: _Row(400, 400),
    InvalidRequestError: _Row(400, 400),
    JobNotFoundError: _Row(404, 404),
    IllegalChangeError: _Row(409, 409),
    UnavailableError: _Row(503, 503),
}
_FAILURES: Mapping[str, _Row] = {
    "reconnect_required": _Row(_BAD_GATEWAY, 400),
    "token_not_found": _TABLE[TokenNotFoundError],
}
NOT_FOUND_BODY: Mapping[str, JsonValue] = {"success": False, "errno": 404, "message": "RESOURCE_NOT_FOUND"}


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error in the documented body."""
    app.add_exception_handler(ExportError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_unknown_route)
    app.add_exception_handler(Exception, _answer_bug)


def answer_of(error: ExportError) -> Response:
    """Give the documented answer to an error."""
    if isinstance(error, JobFailedError):
        return _failed_job(error.error)
    row = next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
    details = getattr(error, "details", None)
    extra: dict[str, Any] = {"details": details} if details is not None else {}
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if isinstance(error, UnavailableError) else {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    return _body(row, error.message, error.code, extra, headers)


def _failed_job(error: JobError) -> Response:
    """Answer with HubSpot's error: its status as errno, its message, its body; 429 stays 429."""
    status = error.hubspot.status if error.hubspot is not None else None
    limited = status == _TOO_MANY_REQUESTS
    row = _FAILURES.get(error.code) or _Row(_TOO_MANY_REQUESTS if limited else _BAD_GATEWAY, status or _BAD_GATEWAY)
    extra: dict[str, Any] = {"response": {"data": error.hubspot.body}} if error.hubspot is not None else {}
    headers = {"Retry-After": str(max(1, round(error.retry_after_s or 10)))} if limited else {}
    return _body(row, error.message, error.code, extra, headers)


def _body(row: _Row, message: str, code: str, extra: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    content = {"success": False, "errno": row.errno, "message": message, "code": code, **extra}
    return JSONResponse(content, status_code=row.status, headers=dict(headers))


async def _answer(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ExportError)  # noqa: S101 - registered for nothing else
    return answer_of(error)


async def _answer_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    return answer_of(InvalidRequestError(complaints(error.errors())))


async def _answer_unknown_route(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    _log.debug("route_not_found", status=status)
    return JSONResponse(dict(NOT_FOUND_BODY), status_code=404)


async def _answer_bug(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", path=request.url.path, exc_info=error)
    return _body(_Row(500, 500), "Internal Server Error", "internal", {}, {})


def complaints(errors: Any) -> str:  # noqa: ANN401 - pydantic's error list
    """Say what is wrong with which field, for each field; never the value as a whole, it may be long."""
    return "; ".join(f"{_field(item['loc'])}: {_reason(item)}" for item in errors)


def _field(location: tuple[int | str, ...]) -> str:
    names = [str(part) for part in location if part not in {"query", "path", "header", "body"}]
    return ".".join(names) or "body"


def _reason(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "is not a known field"
    message: str = item["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
