"""MongoClock: what time it is where MongoDB is, whatever the machine's own clock shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from worker.mongo.connection import MongoDatabase
from worker.mongo.server_clock import MongoClock

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@dataclass
class Server:
    """A database that tells its time, which passes with the monotonic clock's, and takes a while to answer."""

    passed_s: float = 0.0
    answers_in_s: float = 0.0
    is_away: bool = False
    asked: int = 0
    own: datetime = NOON - timedelta(hours=1)
    began_at: datetime = field(default=NOON)

    def command(self, name: str) -> dict[str, Any]:
        assert name == "hello"
        self.asked += 1
        self.passed_s += self.answers_in_s / 2
        theirs = self.began_at + timedelta(seconds=self.passed_s)
        self.passed_s += self.answers_in_s / 2
        if self.is_away:
            raise ServerSelectionTimeoutError("no primary")
        return {"localTime": theirs.replace(tzinfo=None)}

    @property
    def clock(self) -> MongoClock:
        return MongoClock(cast("MongoDatabase", self), own=lambda: self.own, monotonic=lambda: 1000 + self.passed_s)


@pytest.mark.parametrize("hours", [-1, 0, 1, 24])
def test_it_is_mongodbs_time_whatever_the_machine_says(hours: int) -> None:
    server = Server(own=NOON + timedelta(hours=hours), answers_in_s=0.2)
    clock = server.clock

    assert clock() == NOON + timedelta(seconds=0.2)
    server.passed_s += 30.0006
    assert clock() == NOON + timedelta(seconds=30.2)


def test_it_is_asked_for_once_a_minute() -> None:
    server = Server()
    clock = server.clock

    for _ in range(600):
        clock()
        server.passed_s += 1

    assert server.asked == 10


def test_a_clock_that_is_put_right_is_followed_within_the_minute() -> None:
    server = Server()
    clock = server.clock
    clock()
    server.began_at += timedelta(minutes=5)
    server.passed_s += 61

    assert clock() == NOON + timedelta(minutes=5, seconds=61)


def test_before_the_first_answer_it_is_the_machines_own_time() -> None:
    server = Server(is_away=True)
    clock = server.clock

    assert clock() == server.own
    assert clock() == server.own
    assert server.asked == 1

    server.is_away = False
    server.passed_s += 5
    assert clock() == NOON + timedelta(seconds=5)


def test_while_mongodb_is_away_it_goes_on_from_what_it_was_and_is_asked_seldom() -> None:
    server = Server()
    clock = server.clock
    clock()
    server.is_away = True

    for _ in range(300):
        server.passed_s += 1
        assert clock() == NOON + timedelta(seconds=server.passed_s)

    assert server.asked <= 1 + 300 / 5
