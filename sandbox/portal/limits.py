"""Counting calls in rolling windows, for the rate limit and for what tests ask about it afterwards."""

from collections import deque

_SECOND = 1.0
_DAY_S = 86_400


class RollingWindow:
    """Instants of the last calls; `peak` is the largest count ever seen within one interval."""

    def __init__(self) -> None:
        self.peak = 0
        self._instants: deque[float] = deque()

    def count(self, *, at: float, interval_s: float) -> int:
        """Count the calls in the half-open interval of that many seconds that ends with `at`."""
        while self._instants and self._instants[0] <= at - interval_s:
            self._instants.popleft()
        return len(self._instants)

    def add(self, *, at: float, interval_s: float) -> None:
        """Note a call."""
        self._instants.append(at)
        self.peak = max(self.peak, self.count(at=at, interval_s=interval_s))


class Meter:
    """The calls of one account: every arrival, those that were admitted, and how many were `refused` for a limit.

    Refused calls do not lengthen the wait, but they count in `peak_arrivals`: a client that keeps the limit is never
    refused, so a peak above the limit convicts it. Scripted 429 answers are no refusals.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._arrivals = RollingWindow()
        self._admitted = RollingWindow()
        self._admitted_last_second = RollingWindow()
        self._day = 0
        self._admitted_today = 0

    @property
    def peak_arrivals(self) -> int:
        """Largest number of calls that arrived within one rolling interval, refused ones included."""
        return self._arrivals.peak

    def arrive(self, *, at: float, interval_s: float) -> None:
        """Note a call before anything is decided about it."""
        self._arrivals.add(at=at, interval_s=interval_s)

    def admit(self, *, at: float, interval_s: float) -> None:
        """Note a call that was let through."""
        self._admitted.add(at=at, interval_s=interval_s)
        self._admitted_last_second.add(at=at, interval_s=_SECOND)
        self._admitted_today = self.today(at=at) + 1

    def recent(self, *, at: float, interval_s: float) -> int:
        """Admitted calls in the rolling interval."""
        return self._admitted.count(at=at, interval_s=interval_s)

    def last_second(self, *, at: float) -> int:
        """Admitted calls in the last second."""
        return self._admitted_last_second.count(at=at, interval_s=_SECOND)

    def today(self, *, at: float) -> int:
        """Admitted calls since midnight; the sandbox's accounts live in UTC."""
        day = int(at // _DAY_S)
        if day != self._day:
            self._day, self._admitted_today = day, 0
        return self._admitted_today
