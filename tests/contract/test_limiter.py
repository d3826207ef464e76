"""RedisRateLimiter, on fakeredis and on the real server: never more calls than the limit in any window."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fakeredis import FakeRedis, FakeServer
from redis import Redis

from worker.limiter import NoRateLimit, RedisRateLimiter
from worker.rates import Rate


@pytest.fixture(params=["fakeredis", "redis"])
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    if request.param == "fakeredis":
        yield FakeRedis(server=FakeServer())
        return
    with Redis.from_url(request.getfixturevalue("redis_url")) as client:
        yield client


def test_so_many_calls_go_ahead_and_the_next_is_told_how_long_to_wait(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10))
    assert [limiter.reserve("a1") for _ in range(5)] == [0.0] * 5
    assert 9 < limiter.reserve("a1") <= 10.4


def test_each_account_has_its_own_count(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10))
    assert (limiter.reserve("a1"), limiter.reserve("a2")) == (0.0, 0.0)
    assert limiter.reserve("a1") > 0


def test_two_workers_share_one_count(redis: Redis) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=2, seconds=10)) for _ in range(2))
    assert (first.reserve("a1"), second.reserve("a1")) == (0.0, 0.0)
    assert first.reserve("a1") > 0


def test_who_comes_back_when_told_gets_through_and_no_window_holds_too_many(redis: Redis) -> None:
    rate = Rate(calls=4, seconds=1)
    limiter = RedisRateLimiter(redis, rate)
    went: list[float] = []
    while len(went) < 9:
        wait_s = limiter.reserve("a1")
        if wait_s > 0:
            assert wait_s <= 1.1
            time.sleep(wait_s)
        else:
            went.append(time.monotonic())
    assert all(later - earlier >= rate.seconds for earlier, later in zip(went, went[rate.calls :], strict=False))


def test_an_account_that_is_left_alone_leaves_nothing_behind(redis: Redis) -> None:
    RedisRateLimiter(redis, Rate(calls=1, seconds=1)).reserve("a1")
    (key,) = redis.keys("*calls*")
    assert 0 < redis.pttl(key) <= 1100


def test_without_redis_calls_go_ahead() -> None:
    server = FakeServer()
    server.connected = False
    assert RedisRateLimiter(FakeRedis(server=server), Rate(calls=1, seconds=10)).reserve("a1") == 0.0


def test_no_limit_lets_everything_through() -> None:
    assert NoRateLimit().reserve("a1") == 0.0
