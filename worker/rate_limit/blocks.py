"""Blocks in Redis, set when HubSpot answers 429: how long one lasts, and how an operator lifts it."""

from __future__ import annotations

from redis import Redis

from worker.rate_limit.retry_after import LONGEST_S

LONGEST_BLOCK_S = LONGEST_S
"""No answer blocks an account for longer than a day."""

CALLS = "hubspot-export"
"""What the names of all keys begin with that belong to the limit of calls."""

SEARCHES = f"{CALLS}:search"
"""The same of the limit of searches, which HubSpot counts apart."""


def blocked_for_s(redis: Redis, account_id: str, *, portal: str | None = None, limit: str = CALLS) -> float:
    """Return the seconds left of a block, 0.0 where there is none. Raises RedisError.

    A block is the portal's: the one named, or else the one that the account is known to be connected to.
    """
    return max(0, *(redis.pttl(key) for key in _keys(redis, account_id, portal, limit))) / 1000


def lift_block(redis: Redis, account_id: str) -> float:
    """Lift the blocks and return how long they would have lasted. Workers notice within seconds. Raises RedisError."""
    limits = (CALLS, SEARCHES)
    left_s = max(blocked_for_s(redis, account_id, limit=limit) for limit in limits)
    redis.delete(*(key for limit in limits for key in _keys(redis, account_id, None, limit)))
    return left_s


def _keys(redis: Redis, account_id: str, portal: str | None, limit: str) -> list[str]:
    """Return the keys of the blocks, named as in lua/portal.lua; a key's TTL is what is left of its block."""
    known = portal.encode() if portal is not None else redis.get(f"{limit}:portal-of:{account_id}")
    name = known.decode() if isinstance(known, bytes) else known
    return [f"{limit}:blocked:{account_id}", *([f"{limit}:portal:blocked:{name}"] if name is not None else [])]
