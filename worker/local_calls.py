"""What a process knows of calls by itself: its own ones, and for how long HubSpot has told it to wait."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass

from worker.interfaces import Reservation
from worker.rates import Rate

_MANY_BLOCKS = 1000  # from here on, those that are over are looked for


class LocalCalls:
    """A log of calls in a sliding window, as the one in Redis. Instants are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._places: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._last_booked_at = float("-inf")

    @property
    def last_booked_at(self) -> float:
        """When a place was last booked, for whomever."""
        return self._last_booked_at

    def reserve(self, name: str, rate: Rate, *, at: float, within_s: float, not_before: float) -> Reservation:
        """Book the payer's next place, `not_before` an instant, if it is near enough."""
        with self._lock:
            places = self._places[name]
            while places and places[0] <= at - rate.seconds:
                places.popleft()
            place = max(at, not_before)
            if len(places) >= rate.calls:
                place = max(place, places[-rate.calls] + rate.seconds)
            if place - at > within_s:
                return Reservation(wait_s=place - at, is_booked=False)
            places.append(place)
            self._last_booked_at = at
            return Reservation(wait_s=place - at, is_booked=True)

    def take_over(self, earlier: str, name: str) -> None:
        """Count what was booked under an earlier name under this one."""
        with self._lock:
            if places := self._places.pop(earlier, None):
                self._places[name] = deque(sorted([*places, *self._places[name]]))

    def forget(self) -> None:
        """Start afresh: the calls of all workers are counted again."""
        with self._lock:
            self._places.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBlock:
    """Until when HubSpot wants patience; `is_shared`: Redis knows of it, as it did at `seen_at`."""

    until: float
    is_shared: bool
    seen_at: float


class LocalBlocks:
    """Until when HubSpot wants patience, by account. Instants are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._blocks: dict[str, LocalBlock] = {}
        self._lock = threading.Lock()

    def add(self, name: str, *, seconds: float, at: float, is_shared: bool = False) -> None:
        """Wait for so many seconds; never shorter than before."""
        with self._lock:
            if len(self._blocks) >= _MANY_BLOCKS:
                self._blocks = {other: block for other, block in self._blocks.items() if block.until > at}
            before = self._blocks.get(name)
            until = max(at + seconds, before.until if before is not None else at)
            self._blocks[name] = LocalBlock(until=until, is_shared=is_shared, seen_at=at)

    def set(self, name: str, *, seconds: float, at: float) -> None:
        """Wait for as long as Redis says, be it shorter than before: someone may have lifted the block there."""
        with self._lock:
            self._blocks[name] = LocalBlock(until=at + seconds, is_shared=True, seen_at=at)

    def find(self, name: str, *, at: float) -> LocalBlock | None:
        """Return the block, if it is not over."""
        block = self._blocks.get(name)
        return block if block is not None and block.until > at else None

    def take_over(self, earlier: str, name: str) -> None:
        """Wait under this name as long as was asked for under the earlier one."""
        with self._lock:
            before, present = self._blocks.pop(earlier, None), self._blocks.get(name)
            if before is not None and (present is None or present.until < before.until):
                self._blocks[name] = before
