"""What a process knows of calls by itself: its own ones, and for how long HubSpot has told it to wait."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from worker.rate_limit.quota import Rate

_MANY_NAMES = 1000  # from this number on, keys without calls are removed
_MANY_BLOCKS = 1000  # from here on, those that are over are looked for


@dataclass(slots=True)
class LocalCall:
    """A call of this process. Until it is over, its end counts as later than everything."""

    ends_at: float = float("inf")


class LocalSlidingWindow:
    """The calls of this process in a sliding window, counted as Redis counts. Instants are of the caller's clock."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, list[LocalCall]] = defaultdict(list)
        self._lock = threading.Lock()
        self._last_booked_at = float("-inf")
        self._most_names = _MANY_NAMES

    @property
    def last_booked_at(self) -> float:
        """When a call was last booked here, for any key."""
        return self._last_booked_at

    def note(self, name: str, rate: Rate, *, at: float) -> LocalCall:
        """Count a call that was booked in Redis."""
        with self._lock:
            return self._add(name, rate, at=at)

    def reserve(
        self, name: str, rate: Rate, *, at: float, within_s: float, not_before: float
    ) -> tuple[float, LocalCall | None]:
        """Book the next place, `not_before` an instant, if it is near enough; return the seconds until then as well.

        Without a call it is too far ahead, and to be asked for again then.
        """
        with self._lock:
            ends = sorted(call.ends_at for call in self._calls.get(name, ()))
            place = max(at, not_before)
            if len(ends) >= rate.calls:
                place = max(place, ends[-rate.calls] + rate.seconds)
            if place - at > within_s:
                return min(place, max(at, not_before) + rate.seconds) - at, None
            self._last_booked_at = at
            return place - at, self._add(name, rate, at=at)

    def take_over(self, earlier: str, name: str) -> None:
        """Count what was booked under an earlier name under this one."""
        with self._lock:
            if calls := self._calls.pop(earlier, None):
                self._calls[name] += calls

    def _add(self, name: str, rate: Rate, *, at: float) -> LocalCall:
        call = LocalCall()
        self._calls[name] = [*_counting(self._calls[name], rate, at), call]
        if len(self._calls) > self._most_names:
            self._calls = defaultdict(
                list, {name: calls for name, calls in self._calls.items() if _counting(calls, rate, at)}
            )
            self._most_names = max(_MANY_NAMES, 2 * len(self._calls))
        return call


def _counting(calls: Iterable[LocalCall], rate: Rate, at: float) -> list[LocalCall]:
    return [call for call in calls if call.ends_at > at - rate.seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBlock:
    """Until when HubSpot wants patience; `is_shared`: Redis knows of it, as it did at `seen_at`."""

    until: float
    is_shared: bool
    seen_at: float


class LocalBackoff:
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
