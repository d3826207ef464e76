"""InMemoryErasureStore: erasures that are due by an injected clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from worker.errors import StoreUnavailableError
from worker.records.erasure import Erasure
from worker.records.types import CopyId, ExportType, PagePlace

_LOOKS = 2
_AT_WORK = timedelta(seconds=60)
_CALLS_END_WITHIN = timedelta(seconds=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredErasure:
    erasure: Erasure
    due_at: datetime | None
    last_job: str | None = None


class InMemoryErasureStore:
    """ErasureStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._numbers = count(1)
        self._stored: dict[str, _StoredErasure] = {}

    @property
    def all(self) -> list[Erasure]:
        """Every erasure, in the order they came."""
        return [stored.erasure for stored in self._stored.values()]

    def add(self, copy: CopyId, record_id: int, *, requested_by: str) -> Erasure:
        self._answer()
        erasure = Erasure(
            erasure_id=f"e{next(self._numbers)}",
            copy_id=copy,
            record_id=record_id,
            requested_by=requested_by,
            requested_at=self._clock(),
        )
        self._put(erasure, due_at=self._clock() + _AT_WORK)
        return erasure

    def open_of(self, copy: CopyId, record_ids: Iterable[int]) -> list[Erasure]:
        self._answer()
        wanted = {(copy.account_id, copy.export_type, record_id) for record_id in record_ids}
        still_open = [stored.erasure for stored in self._stored.values() if stored.due_at is not None]
        return [
            each
            for each in still_open
            if (each.copy_id.account_id, each.copy_id.export_type, each.record_id) in wanted
            and (copy.hub_id is None or each.concerns(copy.hub_id))
        ]

    def has_open(self, account_id: str, export_type: ExportType) -> bool:
        self._answer()
        still_open = [each.erasure.copy_id for each in self._stored.values() if each.due_at is not None]
        return (account_id, export_type) in {(each.account_id, each.export_type) for each in still_open}

    def take_due(self) -> Erasure | None:
        self._answer()
        dues = [(each.due_at, each.erasure) for each in self._stored.values() if each.due_at is not None]
        due_at, erasure = min(dues, key=lambda due: due[0], default=(None, None))
        if due_at is None or erasure is None or due_at > self._clock():
            return None
        self._put(erasure, due_at=self._clock() + _AT_WORK)
        return erasure

    def release(self, erasure: Erasure, *, looked_through: PagePlace | None) -> None:
        self._answer()
        now = self._now(erasure)
        if now.looks == erasure.looks:
            self._put(replace(now, looked_through=looked_through), due_at=self._clock())

    def note_copy(self, erasure: Erasure, *, was_there: bool) -> None:
        self._answer()
        stored = self._stored[erasure.erasure_id]
        if stored.erasure.was_in_copy is None:
            self._put(replace(stored.erasure, was_in_copy=was_there), due_at=stored.due_at)

    def count_page(self, erasure: Erasure, *, job_id: str) -> None:
        self._answer()
        stored = self._stored[erasure.erasure_id]
        pages, jobs = stored.erasure.pages + 1, stored.erasure.jobs + (stored.last_job != job_id)
        counted = replace(stored.erasure, pages=pages, jobs=jobs)
        self._stored[erasure.erasure_id] = replace(stored, erasure=counted, last_job=job_id)

    def note_unreadable(self, erasure: Erasure, page: PagePlace) -> None:
        self._answer()
        stored = self._stored[erasure.erasure_id]
        unreadable = tuple(sorted({*stored.erasure.unreadable, page}))
        self._stored[erasure.erasure_id] = replace(stored, erasure=replace(stored.erasure, unreadable=unreadable))

    def finish_pass(self, erasure: Erasure) -> Erasure:
        self._answer()
        now = self._now(erasure)
        if now.looks == erasure.looks:
            looks = now.looks + 1
            is_over = looks >= _LOOKS
            now = replace(now, looks=looks, looked_through=None, finished_at=self._clock() if is_over else None)
            self._put(now, due_at=None if is_over else self._clock() + _CALLS_END_WITHIN)
        return now

    def _now(self, erasure: Erasure) -> Erasure:
        return self._stored[erasure.erasure_id].erasure

    def _put(self, erasure: Erasure, *, due_at: datetime | None) -> None:
        earlier = self._stored.get(erasure.erasure_id)
        last_job = earlier.last_job if earlier is not None else None
        self._stored[erasure.erasure_id] = _StoredErasure(erasure=erasure, due_at=due_at, last_job=last_job)

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError
