"""Traces: parents and links of spans, their attributes, and that nothing waits for the collector."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
import responses
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, format_span_id, format_trace_id
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.contract.stores import new_job
from tests.unit.worker.telemetry.test_metrics import Bench
from worker.errors import HubSpotError, StoreUnavailableError
from worker.hubspot.instrumented import WatchedCalls
from worker.hubspot.transport import Sessions, Transport
from worker.instrumented.tracing import PublishSpans, SliceSpans, TracedQueue
from worker.jobs.job import Job, Lease
from worker.jobs.request import Origin
from worker.messaging.bounded_queue import BoundedQueue
from worker.telemetry.otlp import OtlpTraces, TerseExporter
from worker.telemetry.tracing import JOB_ID, LINK, TRACEPARENT, NoTraces, Traces

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLERS = {TRACEPARENT: f"00-{TRACE}-{SPAN}-01"}
SOON_S = 10.0  # the SDK alone would take 30
HUBSPOT = "https://api.hubapi.com/oauth/v1/access-tokens/secret"


class Collected:
    """Traces, and the spans that came of them once they are closed."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.traces = OtlpTraces(self._exporter, service="test")

    def spans(self) -> dict[str, ReadableSpan]:
        self.traces.close()
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    collected.traces.close()


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def trace_of(span: ReadableSpan) -> str:
    return format_trace_id(context_of(span).trace_id)


def parent_of(span: ReadableSpan) -> str | None:
    return format_span_id(span.parent.span_id) if span.parent is not None else None


def id_of(span: ReadableSpan) -> str:
    return format_span_id(context_of(span).span_id)


# Who belongs to whom


def test_a_nested_span_continues_the_callers_trace(collected: Collected) -> None:
    with (
        collected.traces.span("outer", "server", parent=CALLERS),
        collected.traces.span("inner", "producer"),
    ):
        pass
    spans = collected.spans()

    assert (trace_of(spans["outer"]), parent_of(spans["outer"])) == (TRACE, SPAN)
    assert (trace_of(spans["inner"]), parent_of(spans["inner"])) == (TRACE, id_of(spans["outer"]))
    assert (spans["outer"].kind, spans["inner"].kind) == (SpanKind.SERVER, SpanKind.PRODUCER)


@pytest.mark.parametrize("headers", [{}, {TRACEPARENT: "nonsense"}, {TRACEPARENT: f"00-{'0' * 32}-{SPAN}-01"}])
def test_without_a_trace_to_go_on_with_one_begins_whatever_was_there_before(
    collected: Collected, headers: Mapping[str, str]
) -> None:
    with collected.traces.span("before", "server"), collected.traces.span("new", "consumer", parent=headers):
        pass
    spans = collected.spans()

    assert parent_of(spans["new"]) is None
    assert trace_of(spans["new"]) != trace_of(spans["before"])


def test_headers_lead_a_receiver_to_the_present_span(collected: Collected) -> None:
    with collected.traces.span("here", "producer"):
        headers = collected.traces.headers()
    outside = collected.traces.headers()
    spans = collected.spans()

    assert headers.keys() == {TRACEPARENT}
    assert headers[TRACEPARENT].startswith(f"00-{trace_of(spans['here'])}-{id_of(spans['here'])}-")
    assert outside == {}


def test_lines_of_the_log_name_the_trace_that_they_belong_to(collected: Collected) -> None:
    bind = [structlog.contextvars.merge_contextvars]
    with capture_logs(processors=bind) as logs, collected.traces.span("here", "server", parent=CALLERS):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")

    assert [line["trace_id"] for line in logs] == [TRACE]


# Attributes


def test_what_failed_is_named_by_its_kind_and_by_no_word_of_it(collected: Collected) -> None:
    with pytest.raises(RuntimeError), collected.traces.span("broken", "server"):
        raise RuntimeError("a secret")
    broken = collected.spans()["broken"]

    assert broken.status.status_code is StatusCode.ERROR
    assert broken.attributes == {"error.type": "RuntimeError"}
    assert (broken.events, broken.status.description) == ((), None)


def watched(traces: Traces) -> Transport:
    return Transport(WatchedCalls(Sessions().send, metrics=Bench().exports, traces=traces).send)


def test_a_call_to_hubspot_has_its_status_and_never_its_url(collected: Collected) -> None:
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBSPOT, body=b"{}", headers={"x-hubspot-correlation-id": "c1"})
        watched(collected.traces).get(f"{HUBSPOT}?x=secret", [("y", "secret")], SecretStr("secret"), api="oauth")
    call = collected.spans()["GET oauth"]

    assert call.kind is SpanKind.CLIENT
    assert call.attributes == {
        "http.request.method": "GET",
        "server.address": "api.hubapi.com",
        "hubspot.api": "oauth",
        "http.response.status_code": 200,
        "hubspot.correlation_id": "c1",
    }


def test_a_failed_call_is_a_failed_span(collected: Collected) -> None:
    with responses.RequestsMock() as hubspot:
        hubspot.get(HUBSPOT, status=502, headers={"x-hubspot-correlation-id": "c2"})
        with pytest.raises(HubSpotError):
            watched(collected.traces).get(HUBSPOT, [], SecretStr("token"), api="legacy")
    call = collected.spans()["GET legacy"]

    assert call.status.status_code is StatusCode.ERROR
    assert call.attributes is not None
    assert (call.attributes["http.response.status_code"], call.attributes["hubspot.correlation_id"]) == (502, "c2")


# Messages and slices


class Broker:
    """A JobQueue that keeps the headers of what it was given."""

    def __init__(self, traces: Traces) -> None:
        self.headers: dict[str, str] = {}
        self._traces = traces

    def publish(self, job: Job) -> None:  # noqa: ARG002 - the seam's
        self.headers = self._traces.headers()


def test_a_message_that_is_sent_in_a_thread_of_its_own_still_belongs_to_its_request(collected: Collected) -> None:
    broker, job = Broker(collected.traces), new_job()
    with collected.traces.span("request", "server"):
        TracedQueue(BoundedQueue(broker), collected.traces).publish(job)
    spans = collected.spans()
    publication = spans["publish"]

    assert (parent_of(publication), publication.attributes) == (id_of(spans["request"]), {JOB_ID: job.job_id})
    assert broker.headers[TRACEPARENT].startswith(f"00-{trace_of(publication)}-{id_of(publication)}-")


def test_a_message_for_new_jobs_belongs_to_the_request_of_the_first_of_them(collected: Collected) -> None:
    with collected.traces.span("request", "server"):
        job = replace(new_job(), origin=Origin(traceparent=collected.traces.headers()[TRACEPARENT]))

    with PublishSpans(collected.traces)(job) as headers:
        pass

    spans = collected.spans()
    assert parent_of(spans["publish"]) == id_of(spans["request"])
    assert spans["publish"].attributes == {JOB_ID: job.job_id}
    assert headers[TRACEPARENT].startswith(f"00-{trace_of(spans['request'])}-{id_of(spans['publish'])}-")


def of_trace(traceparent: str | None, *, epoch: int = 2) -> Job:
    """Return a job that was submitted in this trace, claimed for the second time."""
    lease = Lease(owner="w1", epoch=epoch)
    return replace(new_job(), job_id="j1", origin=Origin(traceparent=traceparent), lease=lease)


def test_the_first_slice_continues_the_trace_of_its_job_whatever_its_message(collected: Collected) -> None:
    another = {TRACEPARENT: f"00-{'a' * 32}-{'b' * 16}-01"}

    with SliceSpans(collected.traces, headers=lambda: another)(of_trace(CALLERS[TRACEPARENT], epoch=1)):
        pass
    done = collected.spans()["run_slice"]

    assert (trace_of(done), parent_of(done), list(done.links)) == (TRACE, SPAN, [])


def test_a_slice_continues_the_trace_of_its_message(collected: Collected) -> None:
    with SliceSpans(collected.traces, headers=lambda: CALLERS)(of_trace(CALLERS[TRACEPARENT])):
        pass
    done = collected.spans()["run_slice"]

    assert (trace_of(done), parent_of(done), done.kind) == (TRACE, SPAN, SpanKind.CONSUMER)
    assert (done.attributes, list(done.links)) == ({JOB_ID: "j1"}, [])


@pytest.mark.parametrize("headers", [{LINK: CALLERS[TRACEPARENT]}, {}, {TRACEPARENT: f"00-{'a' * 32}-{'b' * 16}-01"}])
def test_any_later_slice_has_a_trace_of_its_own_that_links_to_its_jobs_first(
    collected: Collected, headers: dict[str, str]
) -> None:
    with SliceSpans(collected.traces, headers=lambda: headers)(of_trace(CALLERS[TRACEPARENT])):
        pass
    done = collected.spans()["run_slice"]

    assert (parent_of(done), trace_of(done) == TRACE) == (None, False)
    assert [(format_trace_id(link.context.trace_id), format_span_id(link.context.span_id)) for link in done.links] == [
        (TRACE, SPAN)
    ]


@pytest.mark.parametrize("origin", [None, "nonsense"])
def test_a_link_that_is_none_is_left_out(collected: Collected, origin: str | None) -> None:
    with SliceSpans(collected.traces, headers=lambda: CALLERS)(of_trace(origin)):
        pass

    assert not collected.spans()["run_slice"].links


def test_a_slice_that_an_absent_server_ended_is_a_failed_span(collected: Collected) -> None:
    with pytest.raises(StoreUnavailableError), SliceSpans(collected.traces, headers=dict)(of_trace(None)):
        raise StoreUnavailableError

    assert collected.spans()["run_slice"].status.status_code is StatusCode.ERROR


# The collector


class Deaf(SpanExporter):
    """A collector that accepts everything and answers only when told to."""

    def __init__(self) -> None:
        self.answer = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's
        self.answer.wait()
        return SpanExportResult.FAILURE


def test_a_collector_that_never_answers_holds_up_neither_the_work_nor_the_end() -> None:
    collector = Deaf()
    traces = OtlpTraces(collector, service="test", close_within_s=0.1)
    began_at = time.monotonic()
    for _ in range(3000):
        with traces.span("work", "client"):
            pass
    worked_s = time.monotonic() - began_at
    traces.close()
    closed_s = time.monotonic() - began_at - worked_s
    collector.answer.set()

    assert worked_s < SOON_S
    assert closed_s < SOON_S


class Results(SpanExporter):
    """A collector whose answers are known beforehand."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's
        return self._results.pop(0)


def test_a_collector_that_is_away_is_one_line_and_its_return_another() -> None:
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    exporter = TerseExporter(Results(good, bad, bad, bad, good, good))
    with capture_logs() as logs:
        for _ in range(6):
            exporter.export([])

    assert [line["event"] for line in logs] == ["traces_not_sent", "traces_sent_again"]


def test_without_a_collector_spans_are_dropped() -> None:
    traces = NoTraces()
    with traces.span("work", "server", attributes={"a": 1}, parent=CALLERS) as span:
        span.note({"b": 2})
        span.rename("other")
        span.fail("error")

    assert traces.headers() == {}
