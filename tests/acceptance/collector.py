"""A trace collector for tests: it receives spans over OTLP/HTTP and returns them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.patience import PATIENCE_S


@dataclass(frozen=True, kw_only=True)
class SentSpan:
    """A span as it arrived; ids in hex, an empty `parent` is none."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, object]


class Collector:
    """The spans of all requests so far."""

    def __init__(self) -> None:
        self._spans: list[SentSpan] = []
        self._arrived = threading.Condition()

    def take(self, body: bytes) -> None:
        spans = list(_read(ExportTraceServiceRequest.FromString(body)))
        with self._arrived:
            self._spans += spans
            self._arrived.notify_all()

    def wait_for(
        self, *, count: int, wanted: Callable[[SentSpan], bool], within_s: float = PATIENCE_S
    ) -> list[SentSpan]:
        """Wait until so many spans match, and return them."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._found(wanted)) >= count, timeout=within_s)
            found = self._found(wanted)
            assert len(found) >= count, self._spans
            return found

    def _found(self, wanted: Callable[[SentSpan], bool]) -> list[SentSpan]:
        return [span for span in self._spans if wanted(span)]


@contextmanager
def listening(collector: Collector) -> Iterator[str]:
    """Listen until the block ends; yields the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _read(request: ExportTraceServiceRequest) -> Iterator[SentSpan]:
    for sent in request.resource_spans:
        service = {pair.key: _value(pair) for pair in sent.resource.attributes}["service.name"]
        for scope in sent.scope_spans:
            for span in scope.spans:
                yield SentSpan(
                    service=str(service),
                    name=span.name,
                    trace=span.trace_id.hex(),
                    span=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple(link.trace_id.hex() for link in span.links),
                    attributes={pair.key: _value(pair) for pair in span.attributes},
                )


def _value(pair: KeyValue) -> object:
    which = pair.value.WhichOneof("value")
    return getattr(pair.value, which) if which is not None else None
