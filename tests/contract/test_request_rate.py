"""RequestRate: a bucket a caller, alike on the fake and on the real Redis, whatever that does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

import fakeredis
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from api_shim.operations.request_rate import RequestRate
from tests.fakes.clock import ManualClock
from tests.patience import PATIENCE_S
from worker.errors import TooManyRequestsError

SLOW = 0.01
"""So few requests a second that none becomes free in a test."""

Scenario = Callable[[AsyncRedis], Coroutine[None, None, None]]


class World:
    """A Redis, for clients of an event loop and for the test itself."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._server = fakeredis.FakeServer()

    def run(self, scenario: Scenario) -> None:
        async def on_loop() -> None:
            redis = AsyncRedis.from_url(self._url) if self._url else fakeredis.FakeAsyncRedis(server=self._server)
            try:
                await scenario(redis)
            finally:
                await redis.aclose()

        asyncio.run(on_loop())

    def keys(self) -> dict[bytes, int]:
        """Return what is stored, and for how many milliseconds."""
        redis = Redis.from_url(self._url) if self._url else fakeredis.FakeRedis(server=self._server)
        with redis:
            return {bytes(key): redis.pttl(key) for key in redis.scan_iter()}


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.getfixturevalue("redis_url") if request.param == "real" else None)


def patient(redis: AsyncRedis, *, per_second: float | None) -> RequestRate:
    """Build one that waits for Redis on a machine of any speed; the product's lets everyone through."""
    return RequestRate(redis, per_second=per_second, patience_s=PATIENCE_S)


async def passes(rate: RequestRate, *, account_id: str = "a1", uid: str = "u1") -> bool:
    try:
        await rate.require_turn(account_id, uid)
    except TooManyRequestsError:
        return False
    return True


@pytest.mark.parametrize(("per_second", "at_once"), [(5, 5), (2.5, 2), (1, 1), (SLOW, 1)])
def test_as_many_as_a_second_holds_may_come_at_once(world: World, per_second: float, at_once: int) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        rate = patient(redis, per_second=per_second)
        began = time.monotonic()
        found = await asyncio.gather(*(passes(rate) for _ in range(at_once)))
        assert found == [True] * at_once
        passed_one_more = await passes(rate)
        assert not passed_one_more or time.monotonic() - began >= 1 / per_second  # by then it may

    world.run(scenario)


def test_two_shims_share_the_bucket_of_a_caller(world: World) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        shims = [patient(redis, per_second=SLOW) for _ in range(2)]
        assert [await passes(shim) for shim in shims] == [True, False]

    world.run(scenario)


def test_callers_do_not_share_a_bucket(world: World) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        rate = patient(redis, per_second=SLOW)
        callers = [("a1", "u1"), ("a1", "u2"), ("a2", "u1"), ("a1u", "1")]
        assert [await passes(rate, account_id=each, uid=uid) for each, uid in callers] == [True] * 4

    world.run(scenario)


def test_who_is_refused_learns_when_to_come_again_and_may_then(world: World) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        rate = patient(redis, per_second=4)
        while await passes(rate):
            pass
        with pytest.raises(TooManyRequestsError, match="More than 4 requests a second") as refused:
            await rate.require_turn("a1", "u1")
        assert 0 < refused.value.retry_after_s <= 0.25
        await asyncio.sleep(refused.value.retry_after_s)
        assert await passes(rate)

    world.run(scenario)


def test_a_refusal_costs_nothing_of_the_bucket(world: World) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        rate = patient(redis, per_second=10)
        began = time.monotonic()
        passed = 0
        while time.monotonic() - began < 1:
            passed += await passes(rate)
        took = time.monotonic() - began
        assert 10 <= passed <= 10 + 10 * took + 1

    world.run(scenario)


def test_a_bucket_is_forgotten_when_it_is_full(world: World) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        await patient(redis, per_second=SLOW).require_turn("account", "user")

    world.run(scenario)

    ((key, ttl_ms),) = world.keys().items()
    assert key.startswith(b"hubspot-export:requests:")
    assert b"account" not in key
    assert 0 < ttl_ms <= 1000 / SLOW + 1


def test_a_clock_that_is_set_back_costs_no_more_than_an_empty_bucket(world: World) -> None:
    """An instant further ahead than a bucket is long was noted before that, or under a lower limit."""

    async def scenario(redis: AsyncRedis) -> None:
        assert await passes(patient(redis, per_second=SLOW))
        rate = patient(redis, per_second=2)
        (key,) = [each async for each in redis.scan_iter()]
        await redis.set(key, int((time.time() + 3600) * 1_000_000), px=3_600_000)
        with pytest.raises(TooManyRequestsError) as refused:
            await rate.require_turn("a1", "u1")
        assert refused.value.retry_after_s <= 0.5
        await asyncio.sleep(0.5)
        assert await passes(rate)

    world.run(scenario)


def test_without_a_limit_redis_is_not_asked(world: World) -> None:
    async def scenario(redis: AsyncRedis) -> None:
        rate = patient(redis, per_second=None)
        assert [await passes(rate) for _ in range(100)] == [True] * 100

    world.run(scenario)
    assert world.keys() == {}


def test_without_redis_everyone_is_let_through_and_it_is_asked_again_later() -> None:
    async def scenario() -> None:
        server, clock = fakeredis.FakeServer(), ManualClock()
        redis = fakeredis.FakeAsyncRedis(server=server)
        rate = RequestRate(redis, per_second=SLOW, monotonic=lambda: clock().timestamp())
        server.connected = False
        assert [await passes(rate) for _ in range(5)] == [True] * 5
        server.connected = True
        assert [await passes(rate) for _ in range(5)] == [True] * 5
        clock.advance(3)
        assert [await passes(rate) for _ in range(2)] == [True, False]

    asyncio.run(scenario())


@pytest.mark.parametrize("patience_s", [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.25])
def test_a_redis_that_does_not_answer_holds_nobody_up(patience_s: float) -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            rate = RequestRate(AsyncRedis(host=host, port=port), per_second=SLOW, patience_s=patience_s)
            began = time.monotonic()
            found = await asyncio.gather(*(passes(rate) for _ in range(100)))
            assert found == [True] * 100
            assert time.monotonic() - began < PATIENCE_S / 2
            await rate.close()

    asyncio.run(scenario())
