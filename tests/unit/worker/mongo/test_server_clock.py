"""MongoClock: what time it is where MongoDB is, whatever the machine's own clock shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from worker.errors import StoreUnavailableError
from worker.mongo.database import MongoDatabase
from worker.mongo.server_clock import MongoClock

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@dataclass
class Server:
    """A database whose time advances with the steady clock, and that takes a while to answer."""

    passed_s: float = 0.0
    answers_in_s: float = 0.0
    reads_after_s: list[float] = field(default_factory=list)
    is_away: bool = False
    asked: int = 0
    began_at: datetime = field(default=NOON)
    left_for_later: list[Callable[[], None]] = field(default_factory=list)

    def command(self, name: str) -> dict[str, Any]:
        assert name == "hello"
        self.asked += 1
        self.passed_s += self.answers_in_s / 2
        theirs = self.began_at + timedelta(seconds=self.passed_s)
        self.passed_s += self.answers_in_s / 2
        if self.is_away:
            raise ServerSelectionTimeoutError("no primary")
        if self.reads_after_s:
            self.passed_s += self.reads_after_s.pop(0)
        return {"localTime": theirs.replace(tzinfo=None)}

    def clock(self, *, waits: bool = True) -> MongoClock:
        """Build the clock; what it does in the background is done at once."""
        return MongoClock(
            cast("MongoDatabase", self),
            waits=waits,
            steady=lambda: 1000 + self.passed_s,
            in_background=lambda act: act(),
        )


def test_it_is_mongodbs_time() -> None:
    server = Server(answers_in_s=0.2)
    clock = server.clock()

    assert clock() == NOON + timedelta(seconds=0.2)
    server.passed_s += 10.0006
    assert clock() == NOON + timedelta(seconds=10.2)


def test_it_is_asked_for_four_times_a_minute() -> None:
    server = Server()
    clock = server.clock()

    for _ in range(600):
        clock()
        server.passed_s += 1

    assert server.asked == 40


def test_a_clock_that_is_put_right_is_followed() -> None:
    server = Server()
    clock = server.clock()
    clock()
    server.began_at += timedelta(minutes=5)
    server.passed_s += 16

    assert clock() == NOON + timedelta(minutes=5, seconds=16)


@pytest.mark.parametrize("waits", [True, False])
def test_before_the_first_answer_nothing_is_decided(*, waits: bool) -> None:
    server = Server(is_away=True)
    clock = server.clock(waits=waits)

    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            clock()

    server.is_away = False
    server.passed_s += 1
    assert clock() == NOON + timedelta(seconds=1)


def test_callers_of_an_absent_mongodb_do_not_wait_one_after_the_other() -> None:
    server = Server(is_away=True, answers_in_s=1.0)
    clock = server.clock()

    for _ in range(50):
        with pytest.raises(StoreUnavailableError):
            clock()

    assert server.passed_s == 1.0


def test_a_clock_that_may_not_wait_uses_what_another_thread_has_asked() -> None:
    server, later = Server(), list[Callable[[], None]]()
    clock = MongoClock(
        cast("MongoDatabase", server), waits=False, steady=lambda: server.passed_s, in_background=later.append
    )
    with pytest.raises(StoreUnavailableError):
        clock()

    later.pop()()

    assert clock() == NOON


def test_while_mongodb_is_away_the_clock_continues_and_asks_rarely() -> None:
    server = Server()
    clock = server.clock()
    clock()
    server.is_away = True

    for _ in range(300):
        server.passed_s += 1
        assert clock() == NOON + timedelta(seconds=server.passed_s)

    assert server.asked <= 1 + 300 / 5


def test_an_answer_that_was_read_late_is_discarded() -> None:
    server = Server(reads_after_s=[120.0, 30.0])
    clock = server.clock()

    assert clock() == NOON + timedelta(seconds=150)
    assert server.asked == 3


def test_a_process_that_is_always_late_continues_from_what_was_known() -> None:
    server = Server()
    clock = server.clock()
    clock()
    server.reads_after_s = [60.0] * 3
    server.passed_s += 16

    assert clock() == NOON + timedelta(seconds=196)
