"""Paced: a backlog of beat's messages is not a backlog of sweeps."""

from __future__ import annotations

from worker.schedules.pacing import Paced


class Counting:
    """A sweep that counts its calls."""

    def __init__(self) -> None:
        self.done = 0
        self.at_s = 0.0
        self.paced = Paced(self._sweep, monotonic=lambda: self.at_s)

    def _sweep(self) -> int:
        self.done += 1
        return 3


def test_an_hour_of_messages_is_one_sweep() -> None:
    counting = Counting()

    assert [counting.paced() for _ in range(1800)] == [3, *[None] * 1799]
    assert counting.done == 1


def test_the_next_sweep_is_done_after_a_second() -> None:
    counting = Counting()

    for _ in range(20):
        counting.paced()
        counting.at_s += 0.5

    assert counting.done == 10
