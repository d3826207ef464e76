"""Searches have a limit of their own beside that of all other calls, on the real server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from fakeredis import FakeRedis, FakeServer
from redis import Redis

from worker.rate_limit.blocks import CALLS, SEARCHES, blocked_for_s, lift_block
from worker.rate_limit.interfaces import RateLimiter
from worker.rate_limit.limiter import NoRateLimit, RedisRateLimiter
from worker.rate_limit.quota import SEARCH_RATE, Quota, Rate
from worker.rate_limit.search_limiter import SearchLimiter

CALL_RATE = Rate(calls=4, seconds=10)


class Limits:
    """The two limiters of one worker."""

    def __init__(self, redis: Redis, rate: Rate | None = CALL_RATE) -> None:
        if rate is not None:
            self.calls: RedisRateLimiter | NoRateLimit = RedisRateLimiter(redis, rate, app="app")
            searches: RedisRateLimiter | NoRateLimit = RedisRateLimiter(redis, SEARCH_RATE, app="app", limit=SEARCHES)
        else:
            self.calls, searches = (NoRateLimit(redis, app="app", limit=each) for each in (CALLS, SEARCHES))
        self.searches = SearchLimiter(calls=self.calls, searches=searches)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    connection = Redis.from_url(urlsplit(redis_url)._replace(path="/15").geturl())
    connection.flushdb()
    yield connection
    connection.close()


def granted(limiter: RateLimiter, tries: int, *, account_id: str = "a1", hub_id: int | None = 99) -> int:
    """Count the permits that are there at once; each counts until long after the test."""
    found = [limiter.reserve(account_id, hub_id=hub_id, within_s=0) for _ in range(tries)]
    for each in found:
        if each.is_granted:
            each.permit.leave()
    return sum(each.is_granted for each in found)


def test_neither_limit_takes_anything_from_the_other(redis: Redis) -> None:
    limits = Limits(redis)
    assert granted(limits.searches, 20) == SEARCH_RATE.calls
    assert granted(limits.calls, 20) == CALL_RATE.calls
    assert granted(limits.searches, 20) == 0


def test_searches_of_all_workers_and_accounts_of_a_portal_share_their_limit(redis: Redis) -> None:
    first, second = Limits(redis), Limits(redis)
    assert granted(first.searches, 3, account_id="a1") == 3
    assert granted(second.searches, 20, account_id="a2") == SEARCH_RATE.calls - 3
    assert granted(second.searches, 20, account_id="a3", hub_id=100) == SEARCH_RATE.calls


@pytest.mark.parametrize("rate", [CALL_RATE, None])
def test_a_block_of_searches_holds_no_other_call_back(redis: Redis, rate: Rate | None) -> None:
    limits, other = Limits(redis, rate), Limits(redis, rate)
    limits.searches.block("a1", hub_id=99, seconds=30)
    assert granted(other.searches, 1) == granted(limits.searches, 1) == 0
    assert granted(other.calls, 1) == granted(limits.calls, 1) == 1


@pytest.mark.parametrize("rate", [CALL_RATE, None])
def test_a_block_of_all_calls_holds_searches_back_as_well(redis: Redis, rate: Rate | None) -> None:
    limits, other = Limits(redis, rate), Limits(redis, rate)
    limits.calls.block("a1", hub_id=99, seconds=30)
    assert granted(other.searches, 1) == granted(limits.searches, 1) == 0
    assert other.searches.reserve("a1", hub_id=99, within_s=0).wait_s > 25


@pytest.mark.parametrize("limit", [CALLS, SEARCHES])
def test_an_operator_lifts_both_blocks(redis: Redis, limit: str) -> None:
    limits = Limits(redis)
    (limits.searches if limit == SEARCHES else limits.calls).block("a1", hub_id=99, seconds=30)
    assert blocked_for_s(redis, "a1", limit=limit) > 25
    assert lift_block(redis, "a1") > 25
    assert granted(Limits(redis).searches, 1) == granted(Limits(redis).calls, 1) == 1


def test_what_an_answer_says_of_the_limit_of_calls_does_not_touch_that_of_searches(redis: Redis) -> None:
    limits = Limits(redis)
    limits.searches.learn("a1", Quota(calls=1, remaining=0, seconds=10, took_s=0.1), hub_id=99)
    assert granted(limits.searches, 20) == SEARCH_RATE.calls


def test_without_redis_nothing_is_searched_before_earlier_searches_are_over() -> None:
    server = FakeServer()
    limits = Limits(FakeRedis(server=server))
    assert granted(limits.searches, 1) == 1
    server.connected = False
    assert granted(limits.searches, 1) == 0
