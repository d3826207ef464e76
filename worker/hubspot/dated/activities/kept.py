"""KeptStretches: what lists gave beyond the page that they were asked for, kept for the page that follows it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from worker.export.interfaces import KEPT_FOR_S
from worker.hubspot.dated.activities.merge import Stretch
from worker.records.types import Offset

_MOST_BYTES = 32 * 1024 * 1024
_MOST_PLACES = 512

_Key: TypeAlias = tuple[Hashable, Offset | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    stretches: Mapping[str, Stretch]
    at: float
    size: int


class KeptStretches:
    """A saving of calls in one process: whatever is not here is asked for.

    Reading on from a place takes what was kept there. Where there is too much, what was left longest ago goes first.
    Instants are on one monotonic clock.
    """

    def __init__(self, *, most_bytes: int = _MOST_BYTES, most_places: int = _MOST_PLACES) -> None:
        self._most_bytes = most_bytes
        self._most_places = most_places
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def take(self, reader: Hashable, place: Offset | None, *, not_before: float) -> dict[str, Stretch]:
        """Return, and forget, what a reader has of each list from a place on, asked for at that instant or later."""
        with self._lock:
            kept = self._pop((reader, place))
        stretches = kept.stretches if kept is not None else {}
        return {name: each for name, each in stretches.items() if each.asked_at >= not_before}

    def put(self, reader: Hashable, place: Offset | None, stretches: Mapping[str, Stretch], *, at: float) -> None:
        size = sum(each.size for each in stretches.values())
        with self._lock:
            self._pop((reader, place))
            self._kept[reader, place] = _Kept(dict(stretches), at, size)
            self._bytes += size
            while self._kept and self._has_too_much(at):
                self._pop(next(iter(self._kept)))

    def forget(self, reader: Hashable) -> None:
        """Forget all that a reader has, wherever it was."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == reader]:
                self._pop(key)

    def _has_too_much(self, at: float) -> bool:
        oldest = next(iter(self._kept.values()))
        is_full = self._bytes > self._most_bytes or len(self._kept) > self._most_places
        return is_full or oldest.at < at - KEPT_FOR_S

    def _pop(self, key: _Key) -> _Kept | None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size
        return kept
