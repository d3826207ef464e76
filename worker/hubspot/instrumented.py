"""What is seen of HubSpot from outside: calls that are counted, timed, traced and logged, and renewals by outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from worker.errors import ExportError, HubSpotError, ReconnectRequiredError
from worker.hubspot.oauth.grants import Grant
from worker.hubspot.oauth.token_endpoint import Renewer
from worker.hubspot.transport import Answer, Call, Send
from worker.telemetry.metrics import ExportMetrics
from worker.telemetry.tracing import Span, Traces

_log = structlog.get_logger()

_NO_ANSWER = "none"


class WatchedCalls:
    """Passes calls on. Of an address only the host is told: path and query may say more than a trace should hold.

    A call that failed is no error of its own in the log: what it means is decided, and logged, by whoever asked.
    """

    def __init__(
        self, send: Send, *, metrics: ExportMetrics, traces: Traces, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._metrics = metrics
        self._traces = traces
        self._monotonic = monotonic

    def send(self, call: Call) -> Answer:
        """Make a call. Raises a HubSpotError."""
        began_at = self._monotonic()
        about = {
            "http.request.method": call.method,
            "server.address": urlsplit(call.url).hostname,
            "hubspot.api": call.api,
        }
        with self._traces.span(f"{call.method} {call.api}", "client", attributes=about) as span:
            try:
                answer = self._send(call)
            except HubSpotError as error:
                self._note(call, span, error.status, error.correlation_id, began_at=began_at)
                raise
            self._note(call, span, answer.status, answer.correlation_id, began_at=began_at)
            return answer

    def _note(self, call: Call, span: Span, status: int | None, correlation_id: str | None, *, began_at: float) -> None:
        took_s = self._monotonic() - began_at
        self._metrics.calls.labels(call.api, status or _NO_ANSWER).inc()
        self._metrics.call_s.labels(call.api).observe(took_s)
        span.note({"http.response.status_code": status, "hubspot.correlation_id": correlation_id})
        _log.debug(
            "hubspot_called",
            api=call.api,
            hubspot_status=status,
            hubspot_correlation_id=correlation_id,
            seconds=round(took_s, 3),
        )


class MeasuredRenewals:
    """A Renewer. It counts renewals by what came of them."""

    def __init__(self, renewer: Renewer, metrics: ExportMetrics) -> None:
        self._renewer = renewer
        self._metrics = metrics

    def renew(self, refresh_token: SecretStr) -> Grant:
        try:
            grant = self._renewer.renew(refresh_token)
        except ExportError as error:
            is_dead = isinstance(error, ReconnectRequiredError)
            self._metrics.renewals.labels("reconnect_required" if is_dead else "failed").inc()
            raise
        self._metrics.renewals.labels("renewed").inc()
        return grant
