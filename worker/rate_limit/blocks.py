"""Blocks in Redis, set when HubSpot answers 429: how long one lasts, and how an operator lifts it."""

from __future__ import annotations

from redis import Redis

from worker.rate_limit.retry_after import LONGEST_S

LONGEST_BLOCK_S = LONGEST_S
"""No answer blocks an account for longer than a day."""

_PREFIX = "hubspot-export"


def blocked_for_s(redis: Redis, account_id: str, *, portal: str | None = None) -> float:
    """Return the seconds left of a block, 0.0 where there is none. Raises RedisError.

    A block is the portal's: the one named, or else the one that the account is known to be connected to.
    """
    return max(0, *(redis.pttl(key) for key in _keys(redis, account_id, portal))) / 1000


def lift_block(redis: Redis, account_id: str) -> float:
    """Lift a block and return how long it would have lasted. Workers notice within seconds. Raises RedisError."""
    left_s = blocked_for_s(redis, account_id)
    redis.delete(*_keys(redis, account_id, None))
    return left_s


def _keys(redis: Redis, account_id: str, portal: str | None) -> list[str]:
    """Return the keys of the blocks, named as in lua/portal.lua; a key's TTL is what is left of its block."""
    known = portal.encode() if portal is not None else redis.get(f"{_PREFIX}:portal-of:{account_id}")
    name = known.decode() if isinstance(known, bytes) else known
    return [f"{_PREFIX}:blocked:{account_id}", *([f"{_PREFIX}:portal:blocked:{name}"] if name is not None else [])]
