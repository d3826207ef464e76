"""Opens the traces of a process; OpenTelemetry's SDK is imported only where they are sent."""

from __future__ import annotations

from worker.telemetry.tracing import NoTraces, Traces


def open_traces(endpoint: str | None, *, service: str) -> Traces:
    """Return traces to an OTLP endpoint, by its base address; None: no traces, at no cost."""
    if endpoint is None:
        return NoTraces()
    from worker.telemetry.otlp import OtlpTraces, over_http  # noqa: PLC0415 - the SDK and its dependencies

    return OtlpTraces(over_http(endpoint), service=service)
