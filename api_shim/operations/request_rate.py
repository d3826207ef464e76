"""RequestRate: limits the requests per second of each caller, over all shims, by a token bucket in Redis."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.errors import TooManyRequestsError

_log = structlog.get_logger()

_KEY = "hubspot-export:requests:"
_PATIENCE_S = 0.25
_WITHOUT_S = 2.0  # without a limit after Redis has failed, so that few requests wait for it in vain
_MOST_AT_ONCE = 16  # concurrent calls, each with a connection of its own
_MICROSECONDS = 1_000_000

# The generic cell rate algorithm: the bucket is stored as the instant at which it will be full again, and a request is
# allowed while that is less than a whole bucket ahead. The clock is the server's, which all shims share; if it was set
# back, a stored instant that lies too far ahead counts as an empty bucket.
_TAKE_ONE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local function keep(at)
  redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1)
end
if full_at > now + burst * interval then
  full_at = now + burst * interval
  keep(full_at)
end
local wait = full_at + interval - burst * interval - now
if wait > 0 then return math.ceil(wait) end
keep(full_at + interval)
return 0
"""


class RequestRate:
    """A bucket for each account and user, which holds the requests of one second, at least one.

    Each request costs one round trip. While Redis does not answer in time, requests are not limited.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        per_second: float | None,
        monotonic: Callable[[], float] = time.monotonic,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._redis = redis
        self._per_second = per_second
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._take_one = redis.register_script(_TAKE_ONE)
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self._resumes_at = float("-inf")
        self._late: set[asyncio.Task[int]] = set()

    async def require_turn(self, account_id: str, uid: str) -> None:
        """Count a request. Raises TooManyRequestsError when it comes too early."""
        if self._per_second is None or self._monotonic() < self._resumes_at:
            return
        try:
            wait_us = await self._in_time(self._take(_key_of(account_id, uid), self._bucket(self._per_second)))
        except (RedisError, OSError, TimeoutError) as error:
            self._resumes_at = self._monotonic() + _WITHOUT_S
            _log.warning("requests_not_limited", error=type(error).__name__)
            return
        if wait_us > 0:
            raise TooManyRequestsError(rate_refusal(self._per_second), retry_after_s=wait_us / _MICROSECONDS)

    async def close(self) -> None:
        for call in self._late:
            call.cancel()
        await self._redis.aclose()

    async def _take(self, key: str, bucket: list[float]) -> int:
        async with self._at_once:
            return int(await self._take_one(keys=[key], args=bucket))

    async def _in_time(self, taking: Coroutine[None, None, int]) -> int:
        """Return the result of a call. Raises TimeoutError when it takes longer than the patience."""
        call = asyncio.create_task(taking)
        try:
            await asyncio.wait({call}, timeout=self._patience_s)
        finally:
            if not call.done():
                # Not awaited, as `asyncio.timeout` would: redis-py 8.1 can lose a cancellation while it connects.
                self._late.add(call)
                call.add_done_callback(self._forget)
                call.cancel()
        if not call.done():
            raise TimeoutError
        return call.result()

    def _forget(self, call: asyncio.Task[int]) -> None:
        self._late.discard(call)
        if not call.cancelled():
            call.exception()  # retrieved, or asyncio would log it

    @staticmethod
    def _bucket(per_second: float) -> list[float]:
        """Return the microseconds between two requests, and the size of a burst."""
        return [_MICROSECONDS / per_second, max(1, int(per_second))]


def rate_refusal(per_second: float) -> str:
    return f"More than {per_second:g} requests a second (MAX_REQUESTS_PER_SECOND); try again later"


def _key_of(account_id: str, uid: str) -> str:
    """Return a key of fixed length, since the caller's ids come from outside."""
    return _KEY + hashlib.sha256(f"{account_id}\0{uid}".encode()).hexdigest()[:32]
