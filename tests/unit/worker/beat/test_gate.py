"""PeriodicGate: a task is sent when it would find work, whenever that is unknown, and once a minute."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.fakes.due_work import ToldDueWork
from worker.beat.gate import DueKind, PeriodicGate
from worker.lifecycle.interfaces import INTERRUPTED_AFTER_S, QUEUED_AFTER_S, UNFOLLOWED_AFTER_S

TICK_S = 2.0
MINUTE_S = 60.0
PATIENCE_S = {
    DueKind.QUEUED: QUEUED_AFTER_S,
    DueKind.UNFOLLOWED: UNFOLLOWED_AFTER_S,
    DueKind.INTERRUPTED: INTERRUPTED_AFTER_S,
}


@dataclass
class Beat:
    """A beat, and the time that passes for it."""

    store: ToldDueWork = field(default_factory=ToldDueWork)
    at: float = 1000.0

    def __post_init__(self) -> None:
        self.gate = PeriodicGate(self.store, steady=lambda: self.at)

    def tick(self) -> tuple[bool, bool]:
        """Return whether a sweep and a dispatch are sent; both are due at this instant."""
        self.at += TICK_S
        return self.gate.needs_sweep(), self.gate.needs_dispatch()

    def ticks(self, seconds: float) -> list[tuple[bool, bool]]:
        return [self.tick() for _ in range(int(seconds / TICK_S))]


@pytest.fixture
def beat() -> Beat:
    """Return a beat that has sent both tasks once."""
    beat = Beat()
    assert beat.tick() == (True, True)
    return beat


def test_nothing_is_enqueued_where_nothing_is_due(beat: Beat) -> None:
    assert set(beat.ticks(MINUTE_S - TICK_S)) == {(False, False)}


def test_both_tasks_are_enqueued_once_a_minute_whatever_the_look_says(beat: Beat) -> None:
    ticks = beat.ticks(10 * MINUTE_S)

    assert ticks.count((True, True)) == 10
    assert ticks.count((False, False)) == len(ticks) - 10


def test_one_look_is_enough_for_both_tasks_of_an_instant(beat: Beat) -> None:
    before = beat.store.looks
    beat.ticks(20)
    assert beat.store.looks - before == 10


@pytest.mark.parametrize("kind", sorted(DueKind))
def test_what_becomes_due_right_after_a_look_is_enqueued_for_at_the_next_tick(beat: Beat, kind: DueKind) -> None:
    due_after_s = PATIENCE_S.get(kind, 0.0)
    beat.store.due_s = {kind: due_after_s - 0.001}
    assert beat.tick() == (False, False)

    beat.store.due_s = {kind: due_after_s}

    is_schedule = kind is DueKind.SCHEDULE
    assert beat.ticks(20) == [(not is_schedule, is_schedule)] * 10


def test_it_is_enqueued_for_until_it_is_done(beat: Beat) -> None:
    beat.store.due_s = {DueKind.ERASURE: 7.0}
    assert beat.tick() == (True, False)
    beat.store.due_s = {DueKind.ERASURE: -60.0}
    assert beat.tick() == (False, False)


def test_everything_is_enqueued_while_mongodb_does_not_answer_and_for_some_seconds_after_it(beat: Beat) -> None:
    beat.store.is_away = True
    assert beat.tick() == (True, True)
    beat.store.is_away = False

    ticks = beat.ticks(20)

    assert ticks[:4] == [(True, True)] * 4
    assert ticks[5:] == [(False, False)] * 5


def test_an_absent_mongodb_is_not_asked_at_every_tick(beat: Beat) -> None:
    beat.store.is_away = True
    before = beat.store.looks
    assert set(beat.ticks(60)) == {(True, True)}
    assert beat.store.looks - before == 6


@pytest.mark.parametrize("swept_s", [None, 90.1, 3600, -90.1])
def test_everything_is_sent_where_nobody_is_seen_to_sweep(beat: Beat, swept_s: float | None) -> None:
    beat.store.swept_s = swept_s
    assert set(beat.ticks(20)) == {(True, True)}


@pytest.mark.parametrize("swept_s", [0.0, 70.0, -15.0, -60.0])
def test_a_sweep_of_the_last_minute_or_at_work_is_enough(beat: Beat, swept_s: float) -> None:
    beat.store.swept_s = swept_s
    assert set(beat.ticks(20)) == {(False, False)}


def test_whatever_a_look_ends_in_beat_continues(beat: Beat, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(beat.store, "look", look)
    assert beat.tick() == (True, True)
