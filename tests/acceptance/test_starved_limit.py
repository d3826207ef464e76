"""HubSpot's limit, kept by workers that are stopped and killed at random, and whose calls arrive late."""

from __future__ import annotations

from benchmarks.starved import CALLS, Blow, run

SEED, SECONDS = 1, 20.0


def test_no_window_holds_more_calls_than_the_limit_whoever_is_stopped_and_for_how_long() -> None:
    found = run(SEED, seconds=SECONDS)

    assert found.blows(Blow.STOPPED) > 10
    assert sum(map(len, found.calls.values())) > CALLS
    assert (found.worst_window <= CALLS, found.windows_over, found.refused) == (True, 0, 0)
