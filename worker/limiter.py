"""RedisRateLimiter: calls per account in a sliding window, counted in Redis over all workers."""

from __future__ import annotations

import secrets

import structlog
from redis import Redis, RedisError

from worker.rates import Rate

_log = structlog.get_logger()

# A log of the calls of the last window, on Redis' own clock: by construction never more than the limit in any window.
# A token bucket of the same size let 199 calls into one window of 100. Gives the milliseconds until a place is free.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return oldest[2] + window - now + 1
"""


# HubSpot counts a call when it arrives, we when it leaves: calls that leave a window apart may arrive a bit closer.
_MARGIN = 1.03


class RedisRateLimiter:
    """At most `rate` calls for each account. Without Redis calls go ahead: HubSpot's own 429 is the second line."""

    def __init__(self, redis: Redis, rate: Rate) -> None:
        self._rate = rate
        self._reserve = redis.register_script(_RESERVE)

    def reserve(self, account_id: str) -> float:
        """Take one call; 0.0, or the seconds until asking again is worth while."""
        window_ms = round(self._rate.seconds * 1000 * _MARGIN)
        arguments: list[str | int] = [self._rate.calls, window_ms, secrets.token_hex(8)]
        try:
            wait_ms = self._reserve(keys=[f"hubspot-export:calls:{account_id}"], args=arguments)
        except RedisError as error:
            _log.warning("limiter_unavailable", error=type(error).__name__)
            return 0.0
        return float(wait_ms) / 1000


class NoRateLimit:
    """What HUBSPOT_RATE_LIMIT=0 asks for."""

    def reserve(self, account_id: str) -> float:  # noqa: ARG002 - every account alike
        """Let every call go ahead."""
        return 0.0
