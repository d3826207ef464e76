"""Pacing: a backlog of beat's messages is not a backlog of sweeps."""

from __future__ import annotations

from worker.schedules.pacing import PacedDispatcher, PacedSweeper
from worker.schedules.schedule import RunCounts


class Counting:
    """A sweeper and a dispatcher that counts."""

    def __init__(self) -> None:
        self.done = 0
        self.at_s = 0.0

    def sweep(self) -> int:
        self.done += 1
        return 3

    def dispatch(self) -> RunCounts:
        self.done += 1
        return RunCounts(started=3)

    def monotonic(self) -> float:
        return self.at_s


def test_an_hour_of_messages_is_one_sweep() -> None:
    counting = Counting()
    sweeper = PacedSweeper(counting, monotonic=counting.monotonic)

    assert [sweeper.sweep() for _ in range(1800)] == [3, *[0] * 1799]
    assert counting.done == 1


def test_the_next_sweep_is_done_after_a_second() -> None:
    counting = Counting()
    sweeper = PacedSweeper(counting, monotonic=counting.monotonic)

    for _ in range(20):
        sweeper.sweep()
        counting.at_s += 0.5

    assert counting.done == 10


def test_dispatches_are_paced_as_well() -> None:
    counting = Counting()
    dispatcher = PacedDispatcher(counting, monotonic=counting.monotonic)

    assert [dispatcher.dispatch().started for _ in range(3)] == [3, 0, 0]
    counting.at_s += 1
    assert dispatcher.dispatch().started == 3
