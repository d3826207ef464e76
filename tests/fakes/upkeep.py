"""An UpkeepStore in memory, by an injected clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from worker.errors import StoreUnavailableError
from worker.jobs.status import Line

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    sent_at: datetime = _NEVER
    delivered: datetime | None = None
    delivered_at: datetime = _NEVER
    before: datetime | None = None


class InMemoryUpkeepStore:
    """UpkeepStore. It may be away."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._names = count(1)
        self._held: dict[str, tuple[str, datetime]] = {}
        self._marks: dict[Line, _Marks] = {}
        self._positions: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def acquire(self, chore: str, *, lease_s: float) -> str | None:
        self._answer()
        with self._lock:
            if chore in self._held and self._held[chore][1] > self._clock():
                return None
            holder = f"holder-{next(self._names)}"
            self._held[chore] = holder, self._after(lease_s)
            return holder

    def extend(self, chore: str, holder: str, *, lease_s: float) -> bool:
        self._answer()
        with self._lock:
            if self._held.get(chore, ("", _NEVER))[0] != holder:
                return False
            self._held[chore] = holder, self._after(lease_s)
            return True

    def release(self, chore: str, holder: str) -> None:
        self._answer()
        with self._lock:
            if self._held.get(chore, ("", _NEVER))[0] == holder:
                self._held[chore] = holder, self._clock()

    def position(self, chore: str) -> str | None:
        self._answer()
        return self._positions.get(chore)

    def move(self, chore: str, position: str | None) -> None:
        self._answer()
        self._positions[chore] = position

    def next_mark(self, line: Line, *, every_s: float) -> datetime | None:
        self._answer()
        with self._lock:
            marks = self._marks.get(line, _Marks())
            if marks.sent_at > self._after(-every_s):
                return None
            self._marks[line] = replace(marks, sent_at=self._clock())
            return self._clock()

    def note_mark(self, line: Line, sent_at: datetime) -> None:
        self._answer()
        with self._lock:
            marks = self._marks.get(line, _Marks())
            if marks.delivered is None or sent_at > marks.delivered:
                self._marks[line] = replace(
                    marks, before=marks.delivered, delivered=sent_at, delivered_at=self._clock()
                )

    def delivered_until(self, line: Line, *, grace_s: float) -> datetime | None:
        self._answer()
        marks = self._marks.get(line, _Marks())
        return marks.delivered if marks.delivered_at <= self._after(-grace_s) else marks.before

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError

    def _after(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)
