"""Tasks: a span, a metric and one line of the log, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import structlog
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from tests.unit.worker.telemetry.test_metrics import Bench
from tests.unit.worker.telemetry.test_tracing import CALLERS, SPAN, TRACE, Collected, parent_of, trace_of
from worker import bootstrap, tasks
from worker.errors import BrokerUnavailableError, StoreUnavailableError, UnavailableError
from worker.instrumented.tasks import Instruments, count_runs, count_sweep, observed
from worker.schedules.schedule import RunCounts
from worker.telemetry.metrics import ExportMetrics
from worker.telemetry.tracing import JOB_ID, LINK, NoTraces, Traces


def instruments(bench: Bench, traces: Traces | None = None, headers: Mapping[str, str] | None = None) -> Instruments:
    return Instruments(metrics=bench.exports, traces=traces or NoTraces(), headers=lambda: headers or {})


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    collected.traces.close()


def test_a_task_continues_the_trace_of_its_message(bench: Bench, collected: Collected) -> None:
    @observed(lambda: instruments(bench, collected.traces, CALLERS), unavailable="given_up", span="start_sync")
    def start(job_id: str) -> None: ...

    start("s1")
    span = collected.spans()["start_sync"]

    assert (trace_of(span), parent_of(span), span.kind) == (TRACE, SPAN, SpanKind.CONSUMER)
    assert (span.attributes, list(span.links)) == ({JOB_ID: "s1"}, [])


def test_a_task_whose_message_only_links_to_a_trace_begins_one(bench: Bench, collected: Collected) -> None:
    linked = {LINK: CALLERS["traceparent"]}
    with instruments(bench, collected.traces, linked).span("start_sync", job_id="s1"):
        pass
    span = collected.spans()["start_sync"]

    assert parent_of(span) is None
    assert [link.context.trace_id for link in span.links] == [int(TRACE, 16)]


def test_what_is_unavailable_ends_a_task_with_one_line_and_a_failed_span(bench: Bench, collected: Collected) -> None:
    counted: list[object] = []

    def count(_metrics: ExportMetrics, outcome: int | UnavailableError, _seconds: float) -> None:
        counted.append(outcome)

    @observed(lambda: instruments(bench, collected.traces), unavailable="given_up", span="work", count=count)
    def work(job_id: str) -> int:
        raise StoreUnavailableError

    with capture_logs() as logs:
        work("j1")

    line = {"event": "given_up", "job_id": "j1", "error": "The database is not available", "log_level": "warning"}
    assert logs == [line]
    assert [type(each) for each in counted] == [StoreUnavailableError]
    assert collected.spans()["work"].status.status_code is StatusCode.ERROR


def test_a_bug_leaves_the_task_as_it_is_and_counts_as_nothing(bench: Bench) -> None:
    counted: list[object] = []

    @observed(lambda: instruments(bench), unavailable="given_up", count=lambda *each: counted.append(each))
    def work() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not counted


def test_lines_within_a_task_name_what_its_message_names_and_those_after_it_do_not(bench: Bench) -> None:
    log = structlog.get_logger()

    @observed(lambda: instruments(bench), unavailable="given_up")
    def work(account_id: str, line: str) -> None:
        log.info("within")

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        work("a1", line="bulk")
        log.info("after")

    assert [line.get("account_id") for line in logs] == ["a1", None]
    assert not any("line" in line for line in logs)


def test_sweeps_are_counted_and_the_jobs_they_published(bench: Bench) -> None:
    for outcome in (4, 0, BrokerUnavailableError()):
        count_sweep(bench.exports, outcome, 0.0)

    assert bench.value("sweeps_total", outcome="done") == 2
    assert bench.value("sweeps_total", outcome="unavailable") == 1
    assert bench.value("jobs_republished_total") == 4
    assert bench.value("jobs_rung_again_total") == 4, "whoever still asks for the former name"


def test_a_sweep_that_was_paced_away_is_not_counted(bench: Bench) -> None:
    @observed(lambda: instruments(bench), unavailable="given_up", count=count_sweep)
    def sweep() -> int | None:
        return None

    sweep()

    assert bench.value("sweeps_total", outcome="done") == 0


def test_runs_of_schedules_are_counted_by_what_came_of_them(bench: Bench) -> None:
    count_runs(bench.exports, RunCounts(started=3, skipped=2, missed=1), 0.0)
    count_runs(bench.exports, StoreUnavailableError(), 0.0)

    assert [bench.value("scheduled_runs_total", outcome=each) for each in ("started", "skipped", "missed")] == [3, 2, 1]


class Syncs:
    """A Syncer that remembers what it was to start."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, sync_id: str) -> None:
        self.started.append(sync_id)


class Wired:
    """The services that the task of several syncs uses."""

    def __init__(self, instruments: Instruments) -> None:
        self.instruments = instruments
        self.syncer = Syncs()


def test_each_of_several_syncs_has_a_span(bench: Bench, collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    wired = Wired(instruments(bench, collected.traces))
    monkeypatch.setattr(tasks, "services", lambda: wired)

    tasks.start_syncs(["s1", "s2"])

    assert wired.syncer.started == ["s1", "s2"]
    assert collected.spans()["start_sync"].attributes == {JOB_ID: "s2"}


def test_services_are_built_once_a_process() -> None:
    assert bootstrap.registry_of(1) is bootstrap.registry_of(1)
    assert bootstrap.registry_of(1) is not bootstrap.registry_of(2)
