"""Prints the outcome of a run: faults, jobs, calls, durations and complaints."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import percentile
from benchmarks.soak.chaos_plan import REPAIRS, ChaosEvent
from benchmarks.soak.hubspot_faults import FaultCount
from benchmarks.soak.ledger import SmallExport
from benchmarks.soak.stall_detector import Activity, Stall
from benchmarks.soak.verdict import RecordCount


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCount:
    """Calls for pages: how many were necessary, and what HubSpot saw."""

    needed: int
    made: int
    peak: int
    limit: int
    interval_s: float
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a run; it has passed if there are no `complaints`."""

    title: str
    planned: Collection[ChaosEvent]
    events: Mapping[ChaosEvent, int]
    faults: Sequence[FaultCount]
    statuses: Mapping[str, int]
    submissions: Mapping[str, int]
    reads: Mapping[str, int]
    read_seconds: Sequence[float]
    small: Sequence[SmallExport]
    records: RecordCount
    calls: CallCount
    takeovers: int
    in_lanes: int
    retried: int
    longest: Mapping[Activity, Stall]
    work_s: float
    settled_s: float
    complaints: Sequence[str]


def print_outcome(outcome: Outcome, *, console: Console) -> None:
    """Print the two tables and the complaints."""
    console.print(_faults_table(outcome))
    console.print(_outcomes_table(outcome))
    for complaint in outcome.complaints:
        console.print(f"WRONG  {complaint}", soft_wrap=True, markup=False, highlight=False)
    verdict = f"{len(outcome.complaints)} things are wrong." if outcome.complaints else "Nothing is wrong."
    console.print(f"{verdict} {outcome.title}", soft_wrap=True, highlight=False)


def _faults_table(outcome: Outcome) -> Table:
    table = Table("fault", title="Faults")
    table.add_column("times", justify="right")
    for event in ChaosEvent:
        if event in outcome.planned and event not in REPAIRS:
            table.add_row(event, f"{outcome.events.get(event, 0):,}")
    for fault in outcome.faults:
        table.add_row(f"HubSpot, {fault.name}", f"{fault.times:,}")
    return table


def _outcomes_table(outcome: Outcome) -> Table:
    table = Table("", title="Outcome")
    table.add_column("", justify="right")
    for name, value in (*_about_jobs(outcome), *_about_calls(outcome), *_about_time(outcome), *_about_reads(outcome)):
        table.add_row(name, value)
    return table


def _about_jobs(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for status, times in sorted(outcome.statuses.items()):
        yield f"jobs {status}", f"{times:,}"
    yield "jobs retried after the faults", f"{outcome.retried:,}"
    yield "jobs taken over from a dead worker", f"{outcome.takeovers:,}"
    yield "exports read in lanes", f"{outcome.in_lanes:,}"
    yield "records expected", f"{outcome.records.expected:,}"
    yield "records stored", f"{outcome.records.stored:,}"
    yield "records missing", f"{outcome.records.missing:,}"
    yield "records duplicated", f"{outcome.records.doubled:,}"


def _about_calls(outcome: Outcome) -> Iterator[tuple[str, str]]:
    calls = outcome.calls
    faulty = sum(fault.times for fault in outcome.faults if fault.costs_a_call)
    yield "calls needed", f"{calls.needed:,}"
    yield "calls made", f"{calls.made:,} ({_percent(calls.made, calls.needed)})"
    yield "of which to repeat faulty ones", f"{faulty:,}"
    yield "calls made without those", f"{calls.made - faulty:,} ({_percent(calls.made - faulty, calls.needed)})"
    yield f"most calls of an account in {calls.interval_s:g} s", f"{calls.peak} of {calls.limit}"
    yield "calls refused by the limit", f"{calls.refused:,}"


def _about_time(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for activity in Activity:
        stall = outcome.longest.get(activity)
        if stall is not None:
            yield f"longest time without a page, {activity}", f"{stall.seconds:.1f} s (job {stall.job_id[:8]})"
    yield "last job ended after", f"{outcome.work_s:.0f} s"
    yield "of which after the faults", f"{outcome.settled_s:.0f} s"


def _about_reads(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for status, times in sorted(outcome.submissions.items()):
        yield f"POST /export answered {status}", f"{times:,}"
    for status, times in sorted(outcome.reads.items()):
        yield f"GET /export answered {status}", f"{times:,}"
    if len(outcome.read_seconds) > 1:
        shown = (f"{percentile(outcome.read_seconds, percent):.2f}" for percent in (50, 90, 99))
        yield "GET /export, seconds at p50, p90, p99", " ".join(shown)
    if outcome.small:
        accepted = f"{len(outcome.small)} small exports, seconds until accepted"
        yield accepted, _median_and_max([each.accepted_s for each in outcome.small])
        yield "until a worker claimed them", _median_and_max([each.taken_s for each in outcome.small])
        yield "until they ended", _median_and_max([each.ended_s for each in outcome.small])


def _median_and_max(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.1f}, at most {max(seconds):.1f}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
