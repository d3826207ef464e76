"""Paced: beat's messages pile up in Redis, where they never expire, and run at most once a second all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_LEAST_S = 1.0  # beat sends one every 2 s

T = TypeVar("T")


class Paced(Generic[T]):
    """Calls `run`, unless this process has done so within the last `least_s` seconds: then it returns None."""

    def __init__(
        self, run: Callable[[], T], *, least_s: float = _LEAST_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._least_s = least_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_at: float | None = None

    def __call__(self) -> T | None:
        with self._lock:
            at = self._monotonic()
            if self._next_at is not None and at < self._next_at:
                return None
            self._next_at = at + self._least_s
        return self._run()
