"""Errors as answers: one table from error to status, errno, message and code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from api_shim.auth.jwt import InsufficientScopeError, UnauthorizedError
from api_shim.requests.errors import UnsupportedEncodingError, UnsupportedTypeError, complaints
from api_shim.requests.type_lists import JOB_TYPE, job_type_complaint
from api_shim.responses.schemas import ErrorAnswer
from worker.errors import (
    AccessDeniedError,
    AlreadyAskedError,
    ExportError,
    HubSpotError,
    IdempotencyKeyReusedError,
    InternalError,
    InvalidRequestError,
    JobNotFoundError,
    JsonValue,
    NotConfiguredError,
    OverLimitError,
    PortalChangedError,
    PortalConnectedError,
    PortalNotFoundError,
    ReconnectRequiredError,
    RecordNotFoundError,
    ScheduleNotFoundError,
    TokenNotFoundError,
    UnavailableError,
    UnknownPropertiesError,
)
from worker.jobs.status import IllegalChangeError, JobError

_log = structlog.get_logger()

_RETRY_AFTER_S = 2
_WITHOUT_ADVICE_S = 10.0
_TOO_MANY_REQUESTS = 429
_BAD_GATEWAY = 502


class JobFailedError(ExportError):
    """The job that the request waits for has failed."""

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
    UnsupportedEncodingError: _Row(415, 415),
    AccessDeniedError: _Row(400, 400),
    AlreadyAskedError: _Row(409, 409),
    NotConfiguredError: _Row(501, 501),
    JobNotFoundError: _Row(404, 404),
    RecordNotFoundError: _Row(404, 404),
    ScheduleNotFoundError: _Row(404, 404),
    PortalNotFoundError: _Row(404, 404),
    PortalChangedError: _Row(409, 409),
    PortalConnectedError: _Row(409, 409),
    IllegalChangeError: _Row(409, 409),
    IdempotencyKeyReusedError: _Row(422, 422),
    OverLimitError: _Row(_TOO_MANY_REQUESTS, _TOO_MANY_REQUESTS),
    UnavailableError: _Row(503, 503),
    InternalError: _Row(500, 500),
    ExportError: _Row(500, 500),
}
_FAILURES: Mapping[str, _Row] = {
    ReconnectRequiredError.code: _Row(_BAD_GATEWAY, 400),
    TokenNotFoundError.code: _TABLE[TokenNotFoundError],
    InvalidRequestError.code: _TABLE[InvalidRequestError],
    UnknownPropertiesError.code: _TABLE[InvalidRequestError],
    PortalChangedError.code: _TABLE[PortalChangedError],
    UnavailableError.code: _TABLE[UnavailableError],
    InternalError.code: _TABLE[InternalError],
}
NOT_FOUND_BODY: Mapping[str, JsonValue] = {"success": False, "errno": 404, "message": "RESOURCE_NOT_FOUND"}

ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "The request is invalid; the message names the field and the reason"},
    401: {"model": ErrorAnswer, "description": "The JWT is missing or invalid"},
    403: {"model": ErrorAnswer, "description": "The JWT lacks the scope"},
    404: {"model": ErrorAnswer, "description": "The account has no such resource"},
    429: {
        "model": ErrorAnswer,
        "description": "Too many concurrent requests, or too many per second; `Retry-After` says when to try again",
    },
    503: {"model": ErrorAnswer, "description": "The database or the message broker is not available"},
    "default": {"model": ErrorAnswer, "description": "Any other error"},
}
"""What every route below the base path may answer; for the OpenAPI document."""

CONFLICT_ANSWER: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "Not possible in the job's state, which the message names"},
}
PORTAL_ANSWER: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "The request concerns another HubSpot portal than the connected one"},
}
CONNECTED_ANSWER: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "The portal is connected: the next sync would restore its copy"},
}
KEY_ANSWERS: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "The job of this Idempotency-Key is gone"},
    422: {"model": ErrorAnswer, "description": "The Idempotency-Key was used for a different request"},
}
HUBSPOT_ANSWERS: dict[int | str, dict[str, Any]] = {
    429: {
        "model": ErrorAnswer,
        "description": "HubSpot's limit, or one of this service, is exhausted; `Retry-After` says for how long",
    },
    502: {"model": ErrorAnswer, "description": "HubSpot answered with an error"},
}
NOT_CONFIGURED_ANSWER: dict[int | str, dict[str, Any]] = {
    501: {
        "model": ErrorAnswer,
        "description": "Settings that only this operation needs are missing; the message names them",
    },
}


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ExportError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_unknown_route)
    app.add_exception_handler(Exception, _answer_bug)


def answer_of(error: ExportError) -> Response:
    if isinstance(error, JobFailedError):
        return _failed_job(error.error)
    row = next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
    details = getattr(error, "details", None)
    extra: dict[str, Any] = {"details": details} if details is not None else {}
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if isinstance(error, UnavailableError) else {}
    if isinstance(error, OverLimitError):
        headers["Retry-After"] = _whole_seconds(error.retry_after_s)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    return _body(row, error.message, error.code, extra, headers)


def _failed_job(error: JobError) -> Response:
    """Answer with HubSpot's error: its status as errno, its message, its body; 429 stays 429.

    `Retry-After` is set where HubSpot has sent one (429, 477), or where it is known otherwise.
    """
    status = error.hubspot.status if error.hubspot is not None else None
    limited = status == _TOO_MANY_REQUESTS
    row = _FAILURES.get(error.code) or _Row(_TOO_MANY_REQUESTS if limited else _BAD_GATEWAY, status or _BAD_GATEWAY)
    code = error.code if error.code in _FAILURES else HubSpotError.code
    extra: dict[str, Any] = {"details": error.details} if error.details is not None else {}
    if error.hubspot is not None:
        extra["response"] = {"data": error.hubspot.body}
    is_temporary = limited or row is _TABLE[UnavailableError] or (error.retryable and error.retry_after_s is not None)
    advice_s = error.retry_after_s if error.retry_after_s is not None else _WITHOUT_ADVICE_S
    headers = {"Retry-After": _whole_seconds(advice_s)} if is_temporary else {}
    return _body(row, error.message, code, extra, headers)


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))


def _body(row: _Row, message: str, code: str, extra: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    content = {"success": False, "errno": row.errno, "message": message, "code": code, **extra}
    return JSONResponse(content, status_code=row.status, headers=dict(headers))


async def _answer(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ExportError)  # noqa: S101 - registered for nothing else
    return answer_of(error)


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    of_job_types = {"msg": job_type_complaint(request.app.state.type_names.enabled)}
    found = (item | (of_job_types if item["type"] == JOB_TYPE else {}) for item in error.errors())
    return answer_of(InvalidRequestError(complaints(item | {"loc": item["loc"][1:]} for item in found)))


async def _answer_unknown_route(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    _log.debug("route_not_found", status=status)
    return JSONResponse(dict(NOT_FOUND_BODY), status_code=404)


async def _answer_bug(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", path=request.url.path, exc_info=error)
    return _body(_Row(500, 500), "Internal Server Error", "internal", {}, {})
