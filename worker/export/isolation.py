"""IsolationGate: the slices of a process, of which one that may end the process can keep all others away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LONGEST_S = 30.0  # that slices wait for each other: longer than one takes, unless HubSpot is slow to answer
_LOOK_EVERY_S = 0.25  # whether the worker stops


class IsolationGate:
    """A lock that slices share, unless one of them has to be alone.

    Nobody waits for longer than `longest_s`, or once the worker stops: then they continue side by side.
    """

    def __init__(self, *, stopping: threading.Event, longest_s: float = _LONGEST_S) -> None:
        self._stopping = stopping
        self._longest_s = longest_s
        self._changed = threading.Condition()
        self._sharing = 0
        self._is_taken = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Share the gate, after the slice that is isolated or waits to be."""
        with self._changed:
            self._wait_until(lambda: not self._is_taken)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def isolated(self) -> Iterator[bool]:
        """Exclude all others, once those that share have ended; False: another slice is isolated, or waits to be."""
        with self._changed:
            is_ours, self._is_taken = not self._is_taken, True
            if is_ours:
                self._wait_until(lambda: self._sharing == 0)
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._changed:
                    self._is_taken = False
                    self._changed.notify_all()

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + self._longest_s
        while not (is_so() or self._stopping.is_set()):
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                return
            self._changed.wait(min(left_s, _LOOK_EVERY_S))
