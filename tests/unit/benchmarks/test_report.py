"""What a run prints."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from benchmarks.soak.chaos_plan import ChaosEvent
from benchmarks.soak.hubspot_faults import FaultCount
from benchmarks.soak.ledger import SmallExport
from benchmarks.soak.report import CallCount, Outcome, print_outcome
from benchmarks.soak.stall_detector import Activity, Stall
from benchmarks.soak.verdict import RecordCount

OUTCOME = Outcome(
    title="seed 7: 2 accounts",
    planned={ChaosEvent.WORKER_KILLED, ChaosEvent.REDIS_KILLED, ChaosEvent.MONGO_KILLED},
    events={ChaosEvent.WORKER_KILLED: 29, ChaosEvent.REDIS_KILLED: 2, ChaosEvent.REDIS_STARTED: 2},
    faults=[
        FaultCount(name="page: cut", times=5, costs_a_call=True),
        FaultCount(name="page: slow", times=4, costs_a_call=False),
    ],
    statuses={"succeeded": 12},
    submissions={"202": 12},
    reads={"200": 30, "503": 2},
    read_seconds=[0.1, 0.2, 0.3],
    small=[SmallExport(accepted_s=0.1, taken_s=each / 2, ended_s=each) for each in (1.0, 2.0, 9.0)],
    records=RecordCount(expected=1000, stored=999, missing=1, doubled=0),
    calls=CallCount(needed=100, made=110, peak=20, limit=20, interval_s=2, refused=0),
    takeovers=3,
    in_lanes=2,
    retried=1,
    longest={Activity.LEASED: Stall(seconds=17.25, job_id="a")},
    work_s=130,
    settled_s=10,
    complaints=[],
)


def printed(outcome: Outcome) -> dict[str, str]:
    """Print it; give the rows of the tables by their first cell, and the last line under an empty name."""
    text = StringIO()
    print_outcome(outcome, console=Console(file=text, width=120))
    rows = [line.strip("│ ").split("│") for line in text.getvalue().splitlines() if line.startswith("│")]
    return {**{name.strip(): value.strip() for name, value in rows}, "": text.getvalue().splitlines()[-1]}


def test_a_kill_with_its_restart_is_one_fault() -> None:
    rows = printed(OUTCOME)

    assert rows["Redis killed (kill -9) and started"] == "2"
    assert "Redis started" not in rows


def test_a_fault_that_never_came_is_shown_as_none() -> None:
    assert printed(OUTCOME)["MongoDB killed (kill -9) and started"] == "0"


def test_a_fault_that_was_not_planned_is_no_row() -> None:
    assert ChaosEvent.RABBITMQ_KILLED not in printed(OUTCOME)


def test_of_small_exports_it_is_told_which_part_of_the_way_took_how_long() -> None:
    rows = printed(OUTCOME)

    assert rows["3 small exports, seconds until accepted"] == "0.1, at most 0.1"
    assert rows["until a worker claimed them"] == "1.0, at most 4.5"
    assert rows["until they ended"] == "2.0, at most 9.0"
    assert not any("small" in name for name in printed(replace(OUTCOME, small=[])))


def test_calls_are_shown_with_and_without_those_that_faults_cost() -> None:
    rows = printed(OUTCOME)

    assert rows["calls made"] == "110 (110.0%)"
    assert rows["of which to repeat faulty ones"] == "5"
    assert rows["calls made without those"] == "105 (105.0%)"


def test_a_run_without_a_page_needs_no_percentage() -> None:
    nothing = replace(OUTCOME.calls, needed=0, made=0)

    assert printed(replace(OUTCOME, calls=nothing))["calls made"] == "0 (-)"


def test_the_last_line_says_that_nothing_is_wrong_and_how_to_do_it_again() -> None:
    assert printed(OUTCOME)[""] == "Nothing is wrong. seed 7: 2 accounts"


def test_every_complaint_is_a_line_of_its_own_however_long() -> None:
    complaints = ["contacts of [account] " + "x" * 300, "account 2: 21 calls"]
    text = StringIO()

    print_outcome(replace(OUTCOME, complaints=complaints), console=Console(file=text, width=80))

    lines = text.getvalue().splitlines()
    assert [line for line in lines if line.startswith("WRONG")] == [f"WRONG  {complaint}" for complaint in complaints]
    assert lines[-1].startswith("2 things are wrong.")
