"""OtlpTraces: spans over OTLP by OpenTelemetry's SDK; imported only where an endpoint is set."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.telemetry.tracing import TRACEPARENT, Attributes, SpanKind

_log = structlog.get_logger()

_PATH = "/v1/traces"
_KINDS: Mapping[SpanKind, trace.SpanKind] = {
    "server": trace.SpanKind.SERVER,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
    "client": trace.SpanKind.CLIENT,
}
_ENTERING = frozenset({"server", "consumer"})


def over_http(endpoint: str) -> SpanExporter:
    """Return an exporter to the collector at this base address."""
    return TerseExporter(OTLPSpanExporter(f"{endpoint.rstrip('/')}{_PATH}"))


class OtlpTraces:
    """Traces that a thread sends in batches; what it cannot send in time is dropped.

    Sampling, limits, batches and headers follow the standard `OTEL_…` variables, which the SDK reads by itself.
    """

    def __init__(self, exporter: SpanExporter, *, service: str, close_within_s: float = 2.0) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it logs every dropped span
        self._close_within_s = close_within_s
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("hubspot-export")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        *,
        attributes: Attributes | None = None,
        parent: Mapping[str, str] | None = None,
        link: str | None = None,
    ) -> Iterator[OtlpSpan]:
        """Start a span; while one by which a trace enters this process lasts, log lines carry the trace's id."""
        context = None if parent is None else self._propagator.extract(parent, Context())
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=_present(attributes or {}),
            links=self._links(link),
            record_exception=False,  # its text and stack may hold what may only stand in our own log
            set_status_on_exception=False,
        ) as started:
            span = OtlpSpan(started)
            with structlog.contextvars.bound_contextvars(**_trace_id(started) if kind in _ENTERING else {}):
                try:
                    yield span
                except BaseException as error:
                    span.fail(type(error).__name__)
                    raise

    def headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return headers

    def close(self) -> None:
        """Send what is left, within `close_within_s`: the SDK alone would wait for half a minute."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(self._close_within_s)

    def _links(self, traceparent: str | None) -> list[trace.Link]:
        if traceparent is None:
            return []
        linked = trace.get_current_span(self._propagator.extract({TRACEPARENT: traceparent}, Context()))
        return [trace.Link(linked.get_span_context())]


class OtlpSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(_present(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


class TerseExporter(SpanExporter):
    """An exporter that logs only when it begins to fail, and when it works again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        works = result is SpanExportResult.SUCCESS
        if works is not self._works:
            self._works = works
            if works:
                _log.info("traces_sent_again")
            else:
                _log.warning("traces_not_sent")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _present(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _trace_id(span: trace.Span) -> dict[str, str]:
    return {"trace_id": trace.format_trace_id(span.get_span_context().trace_id)}
