"""KeyedThreadPool: threads for what mostly waits for others, where one who keeps them waiting holds up nobody else."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Piece:
    key: str
    lines: Mapping[str, int]
    work: Callable[[], None]


class KeyedThreadPool:
    """Pieces of work that are begun in their order, but of those in the same line so many at once as are allowed.

    A piece may stand in several lines: it waits until there is room in all of them, and those behind it that have room
    go first. For each that is allowed at once `waiting` may wait. When the process stops, what has not been begun never
    is.
    """

    def __init__(self, *, threads: int, waiting: int, stopping: threading.Event, name: str) -> None:
        self._free = threads
        self._most_waiting = waiting
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)  # threads are made when they are needed
        self._waiting: dict[str, _Piece] = {}
        self._at_work: dict[str, _Piece] = {}
        self._crowds_waiting, self._crowds_at_work = Counter[str](), Counter[str]()
        self._changing = threading.Lock()

    def put(self, lines: Mapping[str, int], key: str, work: Callable[[], None]) -> bool:
        """Have a piece of work done soon; one whose key is in hand already is that one. False: a line is full.

        `lines` says for each line of the piece how many may be worked on at once.
        """
        with self._changing:
            if key in self._waiting or key in self._at_work:
                return True
            if any(self._crowds_waiting[line] >= most * self._most_waiting for line, most in lines.items()):
                return False
            piece = _Piece(key, lines, work)
            self._waiting[key] = piece
            self._crowds_waiting.update(lines.keys())
            self._begin_if_it_may(piece)
            return True

    def _begin_what_may(self) -> None:
        for piece in list(self._waiting.values()):
            if self._free == 0 or self._stopping.is_set():
                return
            self._begin_if_it_may(piece)

    def _begin_if_it_may(self, piece: _Piece) -> None:
        has_room = all(self._crowds_at_work[line] < most for line, most in piece.lines.items())
        if self._free == 0 or self._stopping.is_set() or not has_room:
            return
        del self._waiting[piece.key]
        self._crowds_waiting.subtract(piece.lines.keys())
        self._at_work[piece.key] = piece
        self._crowds_at_work.update(piece.lines.keys())
        self._free -= 1
        self._pool.submit(self._do, piece)

    def _do(self, piece: _Piece) -> None:
        try:
            if not self._stopping.is_set():
                piece.work()
        except Exception:  # the outermost loop of a thread that has to outlive whatever happens
            _log.exception("work_broke", key=piece.key)
        with self._changing:
            del self._at_work[piece.key]
            self._crowds_at_work.subtract(piece.lines.keys())
            self._forget_empty_lines(piece)
            self._free += 1
            self._begin_what_may()

    def _forget_empty_lines(self, piece: _Piece) -> None:
        """Lines are as many as there are destinations: those that nobody stands in are not kept."""
        for crowds in (self._crowds_waiting, self._crowds_at_work):
            for line in piece.lines:
                if crowds[line] <= 0:
                    del crowds[line]
