"""SharedBackoff: how long HubSpot has told us to wait, in this process and in Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from worker.rate_limit.blocks import LONGEST_BLOCK_S
from worker.rate_limit.circuit_breaker import RedisCircuitBreaker
from worker.rate_limit.limit_keys import LimitKey
from worker.rate_limit.redis_window import RedisSlidingWindow

_MANY_BLOCKS = 1000  # from this number on, expired ones are removed
_CHECK_EVERY_S = 2.0  # an operator may have lifted the block


class SharedBackoff:
    """Blocks as this process knows them, compared with Redis every 2 s while there is one.

    A block that began while Redis was away is written there as soon as it is back.
    """

    def __init__(
        self, shared: RedisSlidingWindow | None, breaker: RedisCircuitBreaker, clock: Callable[[], float]
    ) -> None:
        self._shared = shared
        self._breaker = breaker
        self._clock = clock
        self._local = LocalBackoff()

    def add(self, key: LimitKey, *, seconds: float) -> None:
        """Block for so many seconds, a day at the most."""
        if seconds <= 0:
            return
        seconds, shared = min(seconds, LONGEST_BLOCK_S), self._shared
        left_s = self._breaker.call(lambda: shared.block(key, seconds)) if shared is not None else None
        is_shared = left_s is not None
        self._local.add(key.name, seconds=left_s or seconds, at=self._clock(), is_shared=is_shared)

    def take_over(self, earlier: str, name: str) -> None:
        """Move a block from an earlier name to this one; the longer of two stays."""
        self._local.take_over(earlier, name)

    def left_s(self, key: LimitKey) -> float:
        """Return the seconds left of a block, 0.0 where this process knows of none."""
        at = self._clock()
        block = self._local.find(key.name, at=at)
        if block is None:
            return 0.0
        left_s = block.until - at
        if at - block.seen_at < _CHECK_EVERY_S or (shared := self._shared) is None:
            return left_s
        # A block that Redis does not know yet is written there instead of read.
        remaining_s = self._breaker.call(
            lambda: shared.blocked_for_s(key) if block.is_shared else shared.block(key, left_s)
        )
        if remaining_s is None:
            return left_s
        self._local.set(key.name, seconds=remaining_s, at=at)
        return remaining_s


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBlock:
    """Until when calls are held back; `is_shared`: Redis knew of it at `seen_at`."""

    until: float
    is_shared: bool
    seen_at: float


class LocalBackoff:
    """Blocks by key name. Instants are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._blocks: dict[str, LocalBlock] = {}
        self._lock = threading.Lock()

    def add(self, name: str, *, seconds: float, at: float, is_shared: bool = False) -> None:
        """Block for so many seconds; an earlier block that lasts longer stays."""
        with self._lock:
            if len(self._blocks) >= _MANY_BLOCKS:
                self._blocks = {other: block for other, block in self._blocks.items() if block.until > at}
            before = self._blocks.get(name)
            until = max(at + seconds, before.until if before is not None else at)
            self._blocks[name] = LocalBlock(until=until, is_shared=is_shared, seen_at=at)

    def set(self, name: str, *, seconds: float, at: float) -> None:
        """Take over what Redis says, even if it is shorter: someone may have lifted the block there."""
        with self._lock:
            self._blocks[name] = LocalBlock(until=at + seconds, is_shared=True, seen_at=at)

    def find(self, name: str, *, at: float) -> LocalBlock | None:
        """Return the block, unless it has expired."""
        block = self._blocks.get(name)
        return block if block is not None and block.until > at else None

    def take_over(self, earlier: str, name: str) -> None:
        """Move a block from an earlier name to this one; the longer of two stays."""
        with self._lock:
            before, present = self._blocks.pop(earlier, None), self._blocks.get(name)
            if before is not None and (present is None or present.until < before.until):
                self._blocks[name] = before
