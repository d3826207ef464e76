"""Blocks: the patience that HubSpot asked for, as Redis holds it; where it lies, and how it is lifted."""

from __future__ import annotations

from redis import Redis

from worker.rate_limit.retry_after import LONGEST_S

LONGEST_BLOCK_S = LONGEST_S
"""No answer keeps all workers from an account for longer than a day."""

_PREFIX = "hubspot-export"


def blocked_for_s(redis: Redis, account_id: str, *, portal: str | None = None) -> float:
    """Return the seconds for which there is no place, 0.0 where there is one. Raises RedisError.

    A block is the portal's: of the one named, or else of the one that the account is known to be connected to.
    """
    return max(0, *(redis.pttl(key) for key in _keys(redis, account_id, portal))) / 1000


def lift_block(redis: Redis, account_id: str) -> float:
    """End a block, and return how long it would have lasted. Workers learn of it within seconds. Raises RedisError."""
    left_s = blocked_for_s(redis, account_id)
    redis.delete(*_keys(redis, account_id, None))
    return left_s


def _keys(redis: Redis, account_id: str, portal: str | None) -> list[str]:
    """Name the keys of the blocks, as lua/portal.lua has them; their life is what is left of the blocks."""
    known = portal.encode() if portal is not None else redis.get(f"{_PREFIX}:portal-of:{account_id}")
    name = known.decode() if isinstance(known, bytes) else known
    return [f"{_PREFIX}:blocked:{account_id}", *([f"{_PREFIX}:portal:blocked:{name}"] if name is not None else [])]
