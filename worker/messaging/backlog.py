"""Backlog: whether slices should yield to messages that wait for a slot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from worker.errors import BrokerUnavailableError
from worker.messaging.interfaces import WatchedJobQueue


class Backlog:
    """Lets as many slices of this process yield as messages were waiting when the broker was last asked.

    The broker is asked every `every_s`, by whichever slice comes first.
    """

    def __init__(
        self, queue: WatchedJobQueue, *, every_s: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue = queue
        self._every_s = every_s
        self._monotonic = monotonic
        self._changing = threading.Lock()
        self._look_again_at = 0.0
        self._waiting = 0

    def should_yield(self) -> bool:
        """Return whether the caller's slice should end for a waiting message; False while the broker is away."""
        if not self._changing.acquire(blocking=False):
            return False  # another thread is asking; the next page is soon enough
        try:
            self._look()
            self._waiting -= 1
            return self._waiting >= 0
        finally:
            self._changing.release()

    def _look(self) -> None:
        if (at := self._monotonic()) < self._look_again_at:
            return
        self._look_again_at = at + self._every_s
        try:
            self._waiting = self._queue.length()
        except BrokerUnavailableError:
            self._waiting = 0
