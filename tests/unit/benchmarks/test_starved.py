"""The starved benchmark: what it does to workers, and how it counts."""

from __future__ import annotations

import pytest

from benchmarks.starved import CALLS, HUBSPOT, Findings, ProcessEvent, make_plan


@pytest.mark.parametrize("seed", range(20))
def test_a_process_gets_one_blow_after_the_other_and_no_stop_without_an_end(seed: int) -> None:
    plan = make_plan(seed, seconds=60, workers=2)

    assert plan == make_plan(seed, seconds=60, workers=2)
    assert [each.at_s for each in plan] == sorted(each.at_s for each in plan)
    for target in (HUBSPOT, 0, 1):
        events = [each.event for each in plan if each.target == target]
        stops = [number for number, event in enumerate(events) if event is ProcessEvent.STOPPED]
        assert len(stops) > 3
        assert {events[number + 1] for number in stops} == {ProcessEvent.CONTINUED}


def findings(*instants: float) -> Findings:
    return Findings(seconds=60, calls={1: instants, 2: [0.0]}, refused=0, plan=make_plan(1, seconds=60))


def test_a_call_that_comes_a_window_after_the_first_one_is_in_another_window() -> None:
    full = [number / 100 for number in range(CALLS)]

    assert (findings(*full, 2.0).worst_window, findings(*full, 2.0).windows_over) == (CALLS, 0)
    assert (findings(*full, 1.99).worst_window, findings(*full, 1.99).windows_over) == (CALLS + 1, 1)


def test_what_was_used_is_told_of_all_accounts() -> None:
    assert findings(*range(599)).used == pytest.approx(600 / (2 * 600))
