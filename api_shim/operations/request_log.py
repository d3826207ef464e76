"""RequestLog: gives every request an id and a span, counts it, and logs one line."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_shim.operations.metrics import Exposition, RequestMetrics
from worker.jobs.request import Origin
from worker.jobs.view import BASE_PATH
from worker.telemetry.tracing import JOB_ID, TRACEPARENT, Span, Traces

_log = structlog.get_logger()

REQUEST_ID = "X-Request-Id"

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:=@/+-]{0,127}")
_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FROM_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """What the shim is observed by."""

    requests: RequestMetrics
    exposition: Exposition
    traces: Traces


class RequestLog:
    """ASGI middleware around the whole application, so that answers to bugs are logged as well.

    HEAD is answered everywhere as GET is, without the body. Answers below the base path are not cached.

    Neither paths nor queries are logged or used as labels: they hold unbounded ids, and whatever callers put there.
    """

    def __init__(
        self, app: ASGIApp, instruments: Instruments, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._metrics = instruments.requests
        self._traces = instruments.traces
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        structlog.contextvars.clear_contextvars()  # requests of one connection may share a context
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with self._traces.span(_method(scope), "server", parent=_trace_of(headers)) as span:
            await self._answer(scope, receive, send, request_id=request_id, span=span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, request_id: str, span: Span) -> None:
        status = 0
        began_at = self._clock()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                if scope["path"].startswith(f"{BASE_PATH}/"):
                    headers.setdefault("Cache-Control", "no-store")  # answers hold customers' records
            await send(message)

        try:
            if scope["method"] == "HEAD":
                await _answer_head(self._app, scope, receive, send_with_id)
            else:
                await self._app(scope, receive, send_with_id)
        finally:
            self._note(scope, status, self._clock() - began_at, span)

    def _note(self, scope: Scope, status: int, seconds: float, span: Span) -> None:
        method, route = _method(scope), _route(scope)
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        job = _job_of(scope)
        span.rename(f"{method} {route}")
        span.note({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        span.note({JOB_ID: job.get("job_id")})
        if status >= _FIRST_SERVER_ERROR:
            span.fail(str(status))
        log = _log.debug if route in _FROM_PROBES else _log.info
        log("request_answered", method=method, route=route, status=status, seconds=round(seconds, 4), **job)


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as GET and pass on the head only; a streamed body ends as if the client had disconnected."""
    has_begun_body = asyncio.Event()
    is_read = False

    async def receive_then_disconnect() -> Message:
        nonlocal is_read
        if not is_read:
            is_read = True
            return await receive()
        await has_begun_body.wait()
        return {"type": "http.disconnect"}

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        elif not has_begun_body.is_set():
            has_begun_body.set()
            await send({"type": "http.response.body", "body": b""})

    as_get = {**scope, "method": "GET"}
    try:
        await app(as_get, receive_then_disconnect, send_head)
    finally:
        scope.update(as_get | {"method": "HEAD"})  # the log reads the route that was taken from it


def origin_of_request(traces: Traces) -> Origin:
    """Return what a job stores of the request that submits it."""
    known = structlog.contextvars.get_contextvars()
    return Origin(request_id=known.get("request_id"), traceparent=traces.headers().get(TRACEPARENT))


def _request_id(headers: Headers) -> str:
    """Return the client's id where it is safe to log, else a new one."""
    given = headers.get(REQUEST_ID, "")
    return given if _SANE_ID.fullmatch(given) else secrets.token_hex(16)


def _trace_of(headers: Headers) -> Mapping[str, str]:
    return {TRACEPARENT: headers[TRACEPARENT]} if TRACEPARENT in headers else {}


def _job_of(scope: Scope) -> dict[str, str]:
    """Return the id of the job that the request has created or that its path names, if it looks like one of ours."""
    named = scope.get("path_params", {}).get("job_id", "")
    job_id = structlog.contextvars.get_contextvars().get("job_id") or (named if _JOB_ID.fullmatch(named) else None)
    return {"job_id": job_id} if job_id is not None else {}


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def _route(scope: Scope) -> str:
    """Return the template of the route that was taken. FastAPI's own pages have no template, and no parameters."""
    path: str = scope["path"]
    route: Any = scope.get("route")
    if route is not None:
        return f"{BASE_PATH}{route.path}" if path.startswith(f"{BASE_PATH}/") else str(route.path)
    return path if "endpoint" in scope and not scope["path_params"] else "unknown"
