"""Rolling windows that count calls, for the rate limit and for assertions about its peaks."""

from collections import deque

_SECOND = 1.0
_DAY_S = 86_400


class RollingWindow:
    """The times of the last calls; `peak` is the largest count within one interval so far."""

    def __init__(self) -> None:
        self.peak = 0
        self._instants: deque[float] = deque()

    def count(self, *, at: float, interval_s: float) -> int:
        """Return the number of calls in the half-open interval (at - interval_s, at]."""
        while self._instants and self._instants[0] <= at - interval_s:
            self._instants.popleft()
        return len(self._instants)

    def add(self, *, at: float, interval_s: float) -> None:
        self._instants.append(at)
        self.peak = max(self.peak, self.count(at=at, interval_s=interval_s))


class Meter:
    """The calls of one account: arrivals, admitted ones, and the number `refused` by a limit.

    Refused calls do not use up the limit, but they count in `peak_arrivals`: a client that keeps the limit is never
    refused, so a peak above the limit proves that it did not. Scripted 429 answers do not count as refused.
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
        """Largest number of arrivals within one rolling interval, refused ones included."""
        return self._arrivals.peak

    def arrive(self, *, at: float, interval_s: float) -> None:
        """Record a call, whether it is admitted later or not."""
        self._arrivals.add(at=at, interval_s=interval_s)

    def admit(self, *, at: float, interval_s: float) -> None:
        self._admitted.add(at=at, interval_s=interval_s)
        self._admitted_last_second.add(at=at, interval_s=_SECOND)
        self._admitted_today = self.today(at=at) + 1

    def recent(self, *, at: float, interval_s: float) -> int:
        return self._admitted.count(at=at, interval_s=interval_s)

    def last_second(self, *, at: float) -> int:
        return self._admitted_last_second.count(at=at, interval_s=_SECOND)

    def today(self, *, at: float) -> int:
        """Return the calls admitted since midnight UTC."""
        day = int(at // _DAY_S)
        if day != self._day:
            self._day, self._admitted_today = day, 0
        return self._admitted_today
