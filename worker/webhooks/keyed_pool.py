"""KeyedThreadPool: threads for work that mostly waits for others, with a limit for each of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Item:
    key: str
    limits: Mapping[str, int]
    work: Callable[[], None]


class KeyedThreadPool:
    """Starts work in order of submission, and of each group of items no more at once than its limit.

    An item may belong to several groups: it starts when all have room, and those behind it that have room overtake it.
    For each running item that a group allows, `waiting` may wait. After `stopping` nothing is started any more.
    """

    def __init__(self, *, threads: int, waiting: int, stopping: threading.Event, name: str) -> None:
        self._free = threads
        self._most_waiting = waiting
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)  # creates threads on demand
        self._waiting: dict[str, _Item] = {}
        self._running: dict[str, _Item] = {}
        self._waiting_in, self._running_in = Counter[str](), Counter[str]()  # by group
        self._changing = threading.Lock()

    def submit(self, limits: Mapping[str, int], key: str, work: Callable[[], None]) -> bool:
        """Queue work once for each key that waits or runs; False: too much waits in one of its groups.

        `limits` are the groups of the item, each with how many of it may run at once.
        """
        with self._changing:
            if key in self._waiting or key in self._running:
                return True
            if any(self._waiting_in[group] >= most * self._most_waiting for group, most in limits.items()):
                return False
            item = _Item(key, limits, work)
            self._waiting[key] = item
            self._waiting_in.update(limits.keys())
            self._start_if_allowed(item)
            return True

    def _start_all_allowed(self) -> None:
        # In order of submission, as a dict keeps it. All are tried: several may have waited for the groups that have
        # room.
        for item in list(self._waiting.values()):
            if self._free == 0 or self._stopping.is_set():
                return
            self._start_if_allowed(item)

    def _start_if_allowed(self, item: _Item) -> None:
        has_room = all(self._running_in[group] < most for group, most in item.limits.items())
        if self._free == 0 or self._stopping.is_set() or not has_room:
            return
        del self._waiting[item.key]
        self._waiting_in.subtract(item.limits.keys())
        self._running[item.key] = item
        self._running_in.update(item.limits.keys())
        self._free -= 1
        self._pool.submit(self._run, item)

    def _run(self, item: _Item) -> None:
        try:
            if not self._stopping.is_set():
                item.work()
        except Exception:  # the outermost loop of a thread that has to outlive whatever happens
            _log.exception("work_broke", key=item.key)
        with self._changing:
            del self._running[item.key]
            self._running_in.subtract(item.limits.keys())
            self._forget_empty_groups(item)
            self._free += 1
            self._start_all_allowed()

    def _forget_empty_groups(self, item: _Item) -> None:
        # There are as many groups as destinations: kept at zero, they would pile up.
        for counts in (self._waiting_in, self._running_in):
            for group in item.limits:
                if counts[group] <= 0:
                    del counts[group]
