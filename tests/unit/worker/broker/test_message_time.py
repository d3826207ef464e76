"""BrokerTime: kombu notes and compares Redis' time, whatever the clock of the process shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kombu.transport import redis as kombu_redis
from redis.exceptions import NoPermissionError

from worker.broker import message_time
from worker.broker.message_time import BrokerTime

HOUR_S = 3600.0


class Redis:
    """The part of Redis where kombu keeps unacknowledged messages; `now` is its clock."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.may_be_asked = True
        self.index: dict[str, float] = {}

    def time(self) -> tuple[int, int]:
        if not self.may_be_asked:
            raise NoPermissionError
        return int(self.now), round(self.now % 1 * 1e6)

    def pipeline(self) -> Redis:
        return self

    def zadd(self, _key: str, scores: dict[str, float]) -> Redis:
        self.index |= scores
        return self

    def hset(self, *_: object) -> Redis:
        return self

    def execute(self) -> None:
        return None

    def zrange(self, _key: str, most: float, _least: float, **_: object) -> list[tuple[str, float]]:
        return [(tag, score) for tag, score in self.index.items() if score <= most]

    def lock(self, *_: object, **__: object) -> Redis:
        return self

    def acquire(self, **_: object) -> bool:
        return True

    def release(self) -> None:
        return None


def process(redis: Redis, *, ahead_s: float) -> BrokerTime:
    """Return the clock of a process whose own clock is so far ahead."""
    return BrokerTime(steady=lambda: redis.now - 1e6, own=lambda: redis.now + ahead_s)


@pytest.fixture
def kombu(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - kombu is not typed
    for name in ("append", "restore_visible"):
        monkeypatch.setattr(kombu_redis.QoS, name, getattr(kombu_redis.QoS, name))
    monkeypatch.setattr(kombu_redis, "time", kombu_redis.time)  # type: ignore[attr-defined]  # kombu is not typed
    monkeypatch.setattr(kombu_redis.QoS, "tells_broker_time", False, raising=False)
    return kombu_redis


def queue_of(redis: Redis, restored: list[str]) -> Any:  # noqa: ANN401 - kombu is not typed
    """Return the part of a channel that keeps unacknowledged messages."""

    @contextmanager
    def acquire(_client: object = None) -> Iterator[Redis]:
        yield redis

    channel = SimpleNamespace(conn_or_acquire=acquire, visibility_timeout=900, unacked_index_key="index")
    channel.unacked_key, channel.unacked_mutex_key, channel.unacked_mutex_expire = "unacked", "mutex", 300
    kind = cast("Any", kombu_redis.QoS)
    qos = kind.__new__(kind)
    qos.channel, qos._vrestore_count = channel, 0  # noqa: SLF001 - what its constructor sets
    qos._delivered, qos._dirty = {}, set()  # noqa: SLF001
    qos.restore_by_tag = lambda tag, _client=None, **_: restored.append(tag)
    qos._quick_append = qos._delivered.__setitem__  # noqa: SLF001
    return qos


def deliver(qos: Any, tag: str) -> None:  # noqa: ANN401 - kombu is not typed
    message = SimpleNamespace(delivery_info={"exchange": "", "routing_key": ""}, _raw=json.loads("{}"))
    qos.append(cast("Any", message), tag)


@pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
def test_a_wrong_clock_neither_notes_nor_restores_by_its_own_time(kombu: Any, ahead_s: float) -> None:  # noqa: ANN401
    redis, restored = Redis(now=1e9), list[str]()
    message_time.install(process(redis, ahead_s=ahead_s))
    qos = queue_of(redis, restored)

    deliver(qos, "m1")
    assert redis.index == {"m1": pytest.approx(1e9)}

    redis.now += 899
    qos.restore_visible(interval=1)
    assert restored == []
    redis.now += 2
    qos.restore_visible(interval=1)
    assert restored == ["m1"]
    assert kombu.QoS.tells_broker_time


def test_where_redis_may_not_be_asked_it_is_the_machines_time() -> None:
    redis = Redis(now=1e9)
    redis.may_be_asked = False
    told = process(redis, ahead_s=5)

    told.ask(redis)

    assert told() == 1e9 + 5


def test_an_answer_that_came_late_says_nothing() -> None:
    redis = Redis(now=1e9)
    instants = iter([0.0, 70.0, 70.0, 70.1, 80.0])
    told = BrokerTime(steady=lambda: next(instants), own=lambda: 1e9 + HOUR_S)

    told.ask(redis)
    assert not told.is_known
    told.ask(redis)
    assert told() == pytest.approx(1e9 + 80.0 - 70.05)
