"""Where a process' traces go; what sends them is loaded only where they go anywhere."""

from __future__ import annotations

from worker.telemetry.tracing import NoTraces, Traces


def open_traces(endpoint: str | None, *, service: str) -> Traces:
    """Send traces to an OTLP endpoint, the base of its address; None: nowhere, at no cost."""
    if endpoint is None:
        return NoTraces()
    from worker.telemetry.otlp import OtlpTraces, over_http  # noqa: PLC0415 - the SDK and what it brings

    return OtlpTraces(over_http(endpoint), service=service)
