"""HubSpot's rate limit with workers that are stopped and killed at random, and calls that arrive late."""

from __future__ import annotations

from benchmarks.starved import CALLS, ProcessEvent, run

SEED, SECONDS = 1, 20.0
BURNERS = 0  # the tests beside this one take the processor; the benchmark has one a core


def test_no_window_holds_more_calls_than_the_limit_whoever_is_stopped_and_for_how_long() -> None:
    found = run(SEED, seconds=SECONDS, burners=BURNERS)

    assert found.events(ProcessEvent.STOPPED) > 10
    assert sum(map(len, found.calls.values())) > CALLS
    assert (found.worst_window <= CALLS, found.windows_over, found.refused) == (True, 0, 0)
