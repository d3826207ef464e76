"""WaitingLines: threads for what mostly waits for others, where one who keeps them waiting holds up nobody else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

_log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    waiting: deque[tuple[str, Callable[[], None]]] = field(default_factory=deque)
    at_work: int = 0


class WaitingLines:
    """Pieces of work in lines: in order within a line, the lines in turn, and of each at most `most_a_line` at once.

    No more than `most_waiting` wait in a line. When the process stops, what has not been begun never is.
    """

    def __init__(
        self, *, threads: int, most_a_line: int, most_waiting: int, stopping: threading.Event, name: str
    ) -> None:
        self._most_a_line = most_a_line
        self._most_waiting = most_waiting
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)  # threads are made when they are needed
        self._lines: dict[str, _Line] = {}
        self._in_hand: set[str] = set()
        self._changing = threading.Lock()

    def put(self, line: str, key: str, work: Callable[[], None]) -> bool:
        """Have a piece of work done soon; one whose key is in hand already is that one. False: the line is full."""
        with self._changing:
            if key in self._in_hand:
                return True
            place = self._lines.setdefault(line, _Line())
            if len(place.waiting) >= self._most_waiting:
                return False
            place.waiting.append((key, work))
            self._in_hand.add(key)
            if place.at_work < self._most_a_line:
                place.at_work += 1
                self._pool.submit(self._do_next, line)
            return True

    def _do_next(self, line: str) -> None:
        """Do one piece, then stand at the end again, behind those of the other lines."""
        key, work = self._next(line)
        if work is not None:
            self._do(key, work)
            with self._changing:
                self._in_hand.discard(key)
            if not self._stopping.is_set():
                self._pool.submit(self._do_next, line)

    def _next(self, line: str) -> tuple[str, Callable[[], None] | None]:
        with self._changing:
            place = self._lines[line]
            if place.waiting and not self._stopping.is_set():
                return place.waiting.popleft()
            place.at_work -= 1
            if place.at_work == 0:
                del self._lines[line]
            return "", None

    def _do(self, key: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the outermost loop of a thread that has to outlive whatever happens
            _log.exception("work_broke", key=key)
