"""WaitingLines: threads for what mostly waits for others, where one who keeps them waiting holds up nobody else."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Piece:
    key: str
    lines: tuple[str, ...]
    work: Callable[[], None]


class WaitingLines:
    """Pieces of work that are begun in their order, but of those in the same line at most `most_a_line` at once.

    A piece may be in several lines: it waits until there is room in all of them, and those behind it that have room go
    first. No more than `most_waiting` wait in a line. When the process stops, what has not been begun never is.
    """

    def __init__(
        self, *, threads: int, most_a_line: int, most_waiting: int, stopping: threading.Event, name: str
    ) -> None:
        self._free = threads
        self._most_a_line = most_a_line
        self._most_waiting = most_waiting
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)  # threads are made when they are needed
        self._waiting: dict[str, _Piece] = {}
        self._at_work: dict[str, _Piece] = {}
        self._changing = threading.Lock()

    def put(self, lines: tuple[str, ...], key: str, work: Callable[[], None]) -> bool:
        """Have a piece of work done soon; one whose key is in hand already is that one. False: a line is full."""
        with self._changing:
            if key in self._waiting or key in self._at_work:
                return True
            crowds = _crowds(self._waiting)
            if any(crowds[line] >= self._most_waiting for line in lines):
                return False
            self._waiting[key] = _Piece(key, lines, work)
            self._begin_what_may()
            return True

    def _begin_what_may(self) -> None:
        crowds = _crowds(self._at_work)
        for piece in list(self._waiting.values()):
            if self._free == 0 or self._stopping.is_set():
                return
            if all(crowds[line] < self._most_a_line for line in piece.lines):
                crowds.update(piece.lines)
                self._free -= 1
                self._at_work[piece.key] = self._waiting.pop(piece.key)
                self._pool.submit(self._do, piece)

    def _do(self, piece: _Piece) -> None:
        try:
            if not self._stopping.is_set():
                piece.work()
        except Exception:  # the outermost loop of a thread that has to outlive whatever happens
            _log.exception("work_broke", key=piece.key)
        with self._changing:
            del self._at_work[piece.key]
            self._free += 1
            self._begin_what_may()


def _crowds(pieces: dict[str, _Piece]) -> Counter[str]:
    return Counter(line for piece in pieces.values() for line in piece.lines)
