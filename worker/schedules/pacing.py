"""Paces dispatches and sweeps: messages of beat that have piled up, which never expire in Redis, run only once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from worker.lifecycle.interfaces import SweepRunner
from worker.schedules.interfaces import DispatchRunner
from worker.schedules.schedule import RunCounts

_LEAST_S = 1.0  # beat sends one every 2 s


class _Pace:
    """Admits one call a second, by the monotonic clock."""

    def __init__(self, least_s: float, monotonic: Callable[[], float]) -> None:
        self._least_s = least_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_at: float | None = None

    def lets_through(self) -> bool:
        """Return whether a second has passed; if so the next one begins."""
        with self._lock:
            at = self._monotonic()
            if self._next_at is not None and at < self._next_at:
                return False
            self._next_at = at + self._least_s
            return True


class PacedDispatcher:
    """A DispatchRunner that does nothing within a second of the dispatch before, in this process."""

    def __init__(
        self, dispatcher: DispatchRunner, *, least_s: float = _LEAST_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._dispatcher = dispatcher
        self._pace = _Pace(least_s, monotonic)

    def dispatch(self) -> RunCounts:
        """Dispatch, or count nothing."""
        return self._dispatcher.dispatch() if self._pace.lets_through() else RunCounts()


class PacedSweeper:
    """A SweepRunner that does nothing within a second of the sweep before, in this process."""

    def __init__(
        self, sweeper: SweepRunner, *, least_s: float = _LEAST_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sweeper = sweeper
        self._pace = _Pace(least_s, monotonic)

    def sweep(self) -> int:
        """Sweep, or publish nothing."""
        return self._sweeper.sweep() if self._pace.lets_through() else 0
