"""KeyedLock: threads of one process that want the same thing go one by one."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class KeyedLock:
    """A lock for each key, kept only while someone has it."""

    def __init__(self) -> None:
        self._taken: set[Hashable] = set()
        self._changed = threading.Condition()

    @contextmanager
    def wait(self, key: Hashable, *, within_s: float) -> Iterator[bool]:
        """Yield whether the lock was taken; it is held until the block ends."""
        with self._changed:
            is_ours = self._changed.wait_for(lambda: key not in self._taken, timeout=within_s)
            if is_ours:
                self._taken.add(key)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._end(key)

    def _end(self, key: Hashable) -> None:
        with self._changed:
            self._taken.remove(key)
            self._changed.notify_all()
