"""Backlog: how many messages wait for a slot, as far as one process need know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from worker.errors import BrokerUnavailableError
from worker.messaging.interfaces import WatchedJobQueue


class Backlog:
    """Lets slices that have had their share give way, each to one who waits.

    The broker is asked once in a while, by whoever comes first. As many slices give way as there were messages then,
    and no more: where one job waits, all others may go on.
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
        """Say whether to make room for one who waits; False as well while the broker is away."""
        if not self._changing.acquire(blocking=False):
            return False  # someone else is asking; the next page is soon enough
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
