"""LocalSlidingWindow: the calls of this process, by which it limits itself while Redis is away."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from worker.rate_limit.quota import Rate

_MANY_NAMES = 1000  # from this number on, keys without calls are removed


@dataclass(slots=True)
class LocalCall:
    """A call of this process; until it has ended, `ends_at` is infinite."""

    ends_at: float = float("inf")


class LocalSlidingWindow:
    """The calls of this process in a sliding window, counted as Redis counts. Instants are of the caller's clock."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, list[LocalCall]] = defaultdict(list)
        self._lock = threading.Lock()
        self._last_granted_at = float("-inf")
        self._most_names = _MANY_NAMES

    @property
    def last_granted_at(self) -> float:
        """When a permit was last granted here, for any key."""
        return self._last_granted_at

    def note(self, name: str, rate: Rate, *, at: float) -> LocalCall:
        """Count a call that Redis has granted."""
        with self._lock:
            return self._add(name, rate, at=at)

    def reserve(
        self, name: str, rate: Rate, *, at: float, within_s: float, not_before: float
    ) -> tuple[float, LocalCall | None]:
        """Grant the next permit, not before the instant `not_before`, if that is within `within_s`.

        Return the seconds until then, and the call; no call: it is too far ahead, ask again then.
        """
        with self._lock:
            # A call in flight has an infinite end, so that it sorts as the latest.
            ends = sorted(call.ends_at for call in self._calls.get(name, ()))
            allowed_at = max(at, not_before)
            if len(ends) >= rate.calls:
                allowed_at = max(allowed_at, ends[-rate.calls] + rate.seconds)
            if allowed_at - at > within_s:
                # Where the limit-th latest call is in flight, that instant is infinite: ask again in a window.
                return min(allowed_at, max(at, not_before) + rate.seconds) - at, None
            self._last_granted_at = at
            return allowed_at - at, self._add(name, rate, at=at)

    def take_over(self, earlier: str, name: str) -> None:
        """Move the calls of an earlier name to this one."""
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
