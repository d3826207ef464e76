"""Lanes: threads for what mostly waits for others, where one who keeps them waiting holds up nobody else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

_log = structlog.get_logger()


@dataclass(slots=True)
class _Lane:
    waiting: deque[tuple[str, Callable[[], None]]] = field(default_factory=deque)
    at_work: int = 0


class Lanes:
    """Pieces of work in lanes: in order within a lane, the lanes in turn, and of each at most `most_a_lane` at once.

    No more than `most_waiting` wait in a lane. When the process stops, what has not been begun never is.
    """

    def __init__(
        self, *, threads: int, most_a_lane: int, most_waiting: int, stopping: threading.Event, name: str
    ) -> None:
        self._most_a_lane = most_a_lane
        self._most_waiting = most_waiting
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)  # threads are made when they are needed
        self._lanes: dict[str, _Lane] = {}
        self._in_hand: set[str] = set()
        self._changing = threading.Lock()

    def put(self, lane: str, key: str, work: Callable[[], None]) -> bool:
        """Have a piece of work done soon; one whose key is in hand already is that one. False: the lane is full."""
        with self._changing:
            if key in self._in_hand:
                return True
            place = self._lanes.setdefault(lane, _Lane())
            if len(place.waiting) >= self._most_waiting:
                return False
            place.waiting.append((key, work))
            self._in_hand.add(key)
            if place.at_work < self._most_a_lane:
                place.at_work += 1
                self._pool.submit(self._do_next, lane)
            return True

    def _do_next(self, lane: str) -> None:
        """Do one piece, then stand at the end of the line again, behind those of the other lanes."""
        key, work = self._next(lane)
        if work is not None:
            self._do(key, work)
            with self._changing:
                self._in_hand.discard(key)
            if not self._stopping.is_set():
                self._pool.submit(self._do_next, lane)

    def _next(self, lane: str) -> tuple[str, Callable[[], None] | None]:
        with self._changing:
            place = self._lanes[lane]
            if place.waiting and not self._stopping.is_set():
                return place.waiting.popleft()
            place.at_work -= 1
            if place.at_work == 0:
                del self._lanes[lane]
            return "", None

    def _do(self, key: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the outermost loop of a thread that has to outlive whatever happens
            _log.exception("work_broke", key=key)
