"""Blocks: the patience that HubSpot asked for, as Redis holds it; where it lies, and how it is lifted."""

from __future__ import annotations

from redis import Redis

from worker.retry_after import LONGEST_S

LONGEST_BLOCK_S = LONGEST_S
"""No answer keeps all workers from an account for longer than a day."""

_PREFIX = "hubspot-export:blocked:"


def block_key(limit_key: str) -> str:
    """Return the key under which the block of a limit lies; its life is what is left of the block."""
    return f"{_PREFIX}{limit_key}"


def blocked_for_s(redis: Redis, limit_key: str) -> float:
    """Return the seconds for which there is no place, 0.0 where there is one. Raises RedisError."""
    left_ms = redis.pttl(block_key(limit_key))
    return max(0, left_ms) / 1000


def lift_block(redis: Redis, limit_key: str) -> float:
    """End a block, and return how long it would have lasted. Workers learn of it within seconds. Raises RedisError."""
    left_s = blocked_for_s(redis, limit_key)
    redis.delete(block_key(limit_key))
    return left_s
