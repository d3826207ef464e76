"""An in-memory current copy, and transactions over in-memory stores that can be undone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from worker.current_copy.record import (
    ChangePosition,
    CompleteSync,
    CopiedRecord,
    KnownRecord,
    Missed,
    Moment,
    Record,
    Shown,
)
from worker.errors import CopyBusyError, LeaseLostError, RecordNotFoundError, StoreUnavailableError
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.records.page import within_bytes
from worker.records.types import NOTES, CopyId, ExportType

_NEVER = datetime.min.replace(tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

T = TypeVar("T")


class InMemoryTransactions:
    """Transactions, one at a time: what the stores held before comes back when one fails."""

    def __init__(self, *stores: object) -> None:
        self._stores = stores
        self._lock = threading.RLock()

    def run(self, work: Callable[[], T]) -> T:
        with self._lock:
            before = [_contents(store) for store in self._stores]
            try:
                return work()
            except BaseException:
                for store, contents in zip(self._stores, before, strict=True):
                    vars(store).update(contents)
                raise


def _contents(store: object) -> dict[str, object]:
    """Copy what a store holds: dictionaries of values that never change."""
    return {name: dict(value) for name, value in vars(store).items() if isinstance(value, dict)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    record: Record
    synced_at: datetime
    changed_at: datetime
    sync_id: str
    deleted_at: datetime | None = None
    is_from_feed: bool = False
    missed: Missed | None = None
    is_erased: bool = False


class InMemoryRecordStore:
    """RecordStore. Its clock plays the part of the database server's; `written` counts the records that were put in."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._kept: dict[tuple[CopyId, int], _Kept] = {}
        self._changed_at: dict[CopyId, datetime] = {}
        self._syncs: dict[tuple[CopyId, SyncMode], CompleteSync] = {}
        self._accounts: dict[tuple[CopyId, str], tuple[int, CopyProgress]] = {}
        self._first: dict[CopyId, int] = {}
        self._further: dict[CopyId, bool] = {}
        self._leaving: dict[CopyId, bool] = {}
        self.written = 0

    def begin_change(self, copy: CopyId) -> Moment:
        copy = self._claimed(copy)
        now = self._clock()
        at = max(now, self._changed_at.get(copy, _NEVER) + _MILLISECOND)
        self._changed_at[copy] = at
        return Moment(at=at, now=now)

    def known(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, KnownRecord]:
        self._answer()
        copy = self._placed(copy)
        found = {record_id: self._kept.get((copy, record_id)) for record_id in record_ids}
        return {record_id: _known(copy, kept) for record_id, kept in found.items() if kept is not None}

    def all_known(self, copy: CopyId, *, most: int) -> Mapping[int, KnownRecord] | None:
        ids = [*self.ids(copy, after=None, through=None)]
        return self.known(copy, ids) if len(ids) <= most else None

    def bodies(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, bytes]:
        self._answer()
        copy = self._placed(copy)
        found = {record_id: self._kept.get((copy, record_id)) for record_id in record_ids}
        there = {record_id: kept for record_id, kept in found.items() if kept is not None and not kept.is_erased}
        return {record_id: kept.record.body for record_id, kept in there.items()}

    def encode(self, records: Iterable[Record]) -> list[Record]:
        return [replace(record, encoded=True) for record in records]

    def insert(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        assert not self.known(copy, [record.record_id for record in records]), "a record is there already"
        self._put(copy, records, at, sync_id, is_from_feed=is_from_feed)

    def replace(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        known = self.known(copy, [record.record_id for record in records])
        there = [record for record in records if record.record_id in known]
        self._put(copy, there, at, sync_id, is_from_feed=is_from_feed)

    def mark_deleted(
        self, copy: CopyId, record_ids: Iterable[int], *, unless_since: datetime, at: datetime, sync_id: str
    ) -> int:
        self._answer()
        copy = self._placed(copy)
        found = [(copy, record_id) for record_id in record_ids if (copy, record_id) in self._kept]
        meant = [key for key in found if _is_silent(self._kept[key], unless_since)]
        for key in meant:
            self._kept[key] = replace(self._kept[key], deleted_at=at, changed_at=at, sync_id=sync_id, missed=None)
        return len(meant)

    def note_missed(self, copy: CopyId, record_ids: Iterable[int], missed: Missed) -> None:
        self._answer()
        for kept, key in self._there(copy, record_ids):
            if kept.deleted_at is None and kept.missed is None:
                self._kept[key] = replace(kept, missed=missed)

    def note_found(self, copy: CopyId, record_ids: Iterable[int]) -> None:
        self._answer()
        for kept, key in self._there(copy, record_ids):
            self._kept[key] = replace(kept, missed=None)

    def ids(self, copy: CopyId, *, after: int | None, through: int | None) -> Iterator[int]:
        self._answer()
        copy = self._placed(copy)
        ids = sorted(record_id for kept_in, record_id in self._kept if kept_in == copy)
        return iter([i for i in ids if (after is None or i > after) and (through is None or i <= through)])

    def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        self._answer()
        copy = self._placed(copy)
        kept = self._kept.get((copy, record_id))
        if kept is None or kept.is_erased or copy in self._leaving:
            raise RecordNotFoundError
        return _copied(kept)

    def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: ChangePosition | None, limit: int
    ) -> list[CopiedRecord]:
        self._answer()
        copy = self._placed(copy)
        kept_there = [kept for (kept_in, _), kept in self._kept.items() if kept_in == copy]
        records = [_copied(kept) for kept in kept_there if copy not in self._leaving]
        wanted = [
            record
            for record in records
            if (shown is Shown.ALL or (record.deleted_at is not None) == (shown is Shown.DELETED))
            and (since is None or record.changed_at >= since)
            and (after is None or _order(record.place) > _order(after))
        ]
        in_order = sorted(wanted, key=lambda record: _order(record.place))[:limit]
        return list(within_bytes(in_order, size_of=lambda record: len(record.body)))

    def resume(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, is_at_start: bool = False
    ) -> CopyProgress:
        copy = self._claimed(copy)
        _, kept = self._accounts.get((copy, job_id), (0, copying))
        if is_at_start:
            kept = replace(kept.start_over(), since=self._clock())
        self._accounts[copy, job_id] = (epoch, kept)
        return kept

    def save_progress(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, complete: CompleteSync | None = None
    ) -> None:
        self._answer()
        copy = self._placed(copy)
        taken_by, _ = self._accounts.get((copy, job_id), (None, None))
        if taken_by != epoch:
            raise LeaseLostError("Another worker has resumed the export")
        self._accounts[copy, job_id] = (epoch, copying)
        if complete is not None:
            last = self._syncs.get((copy, complete.mode))
            if last is None or last.since <= complete.since:
                self._syncs[copy, complete.mode] = complete

    def last_sync(self, copy: CopyId, *modes: SyncMode) -> CompleteSync | None:
        self._answer()
        copy = self._placed(copy)
        syncs = [self._syncs[copy, mode] for mode in modes if (copy, mode) in self._syncs]
        return max(syncs, key=lambda sync: sync.since, default=None)

    def erase(self, copy: CopyId, record_id: int, *, at: datetime) -> bool:
        self._answer()
        key = (self._placed(copy), record_id)
        kept = self._kept.get(key)
        if kept is None or kept.is_erased:
            return False
        tombstone = Record(record_id, b"null", b"")
        self._kept[key] = replace(kept, record=tombstone, changed_at=at, deleted_at=at, is_erased=True, missed=None)
        return True

    def first_portal(self, copy: CopyId) -> int | None:
        self._answer()
        return self._first.get(replace(copy, hub_id=None))

    def types_of(self, account_id: str, hub_id: int) -> Sequence[ExportType]:
        self._answer()
        first = [copy for copy, portal in self._first.items() if portal == hub_id]
        further = [copy for copy in self._further if copy.hub_id == hub_id]
        return [copy.export_type for copy in (*first, *further) if copy.account_id == account_id]

    def remove_some(self, copy: CopyId, *, most: int) -> bool:
        self._answer()
        place = self._placed(copy)
        if place not in self._further and self._first.get(place) != copy.hub_id:
            return True
        self._leaving[place] = True
        some = [key for key in self._kept if key[0] == place][:most]
        for key in some:
            del self._kept[key]
        if len(some) == most:
            return False
        self._first.pop(place, None)
        self._further.pop(place, None)
        self._leaving.pop(place, None)
        self._syncs = {key: sync for key, sync in self._syncs.items() if key[0] != place}
        self._accounts = {key: kept for key, kept in self._accounts.items() if key[0] != place}
        return True

    def adopt_some(self, *, most: int) -> bool:  # noqa: ARG002 - the seam's; there is no older version of the fake
        self._answer()
        return False

    def _placed(self, copy: CopyId) -> CopyId:
        """Return the key of a copy's contents: an account's first copy is stored without a portal."""
        first = replace(copy, hub_id=None)
        is_of_other = self._first.get(first, copy.hub_id) != copy.hub_id
        return copy if copy in self._further or (copy.hub_id is not None and is_of_other) else first

    def _claimed(self, copy: CopyId) -> CopyId:
        self._answer()
        place = self._placed(copy)
        if place in self._leaving:
            raise CopyBusyError
        if copy.hub_id is not None and place == copy:
            self._further[copy] = True
        elif copy.hub_id is not None:
            self._first[place] = copy.hub_id
        return place

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError

    def _there(self, copy: CopyId, record_ids: Iterable[int]) -> list[tuple[_Kept, tuple[CopyId, int]]]:
        copy = self._placed(copy)
        keys = [(copy, record_id) for record_id in record_ids]
        return [(self._kept[key], key) for key in keys if key in self._kept]

    def _put(self, copy: CopyId, records: Sequence[Record], at: datetime, sync_id: str, *, is_from_feed: bool) -> None:
        self._answer()
        copy = self._placed(copy)
        self.written += len(records)
        for record in records:
            self._kept[copy, record.record_id] = _Kept(
                record=record, synced_at=at, changed_at=at, sync_id=sync_id, is_from_feed=is_from_feed
            )


def _is_silent(kept: _Kept, since: datetime) -> bool:
    return kept.deleted_at is None and kept.changed_at < since


def _order(place: ChangePosition) -> tuple[datetime, int]:
    return place.changed_at, place.record_id


def _known(copy: CopyId, kept: _Kept) -> KnownRecord:
    return KnownRecord(
        digest=kept.record.digest,
        is_deleted=kept.deleted_at is not None,
        changed_at=kept.changed_at,
        sync_id=kept.sync_id,
        is_from_feed=kept.is_from_feed,
        missed=kept.missed,
        kind=_kind(kept.record.body) if copy.export_type is NOTES else None,
    )


def _kind(body: bytes) -> str | None:
    engagement = (json.loads(body) or {}).get("engagement")
    kind = engagement.get("type") if isinstance(engagement, dict) else None
    return kind if isinstance(kind, str) else None


def _copied(kept: _Kept) -> CopiedRecord:
    return CopiedRecord(
        record_id=kept.record.record_id,
        body=kept.record.body,
        synced_at=kept.synced_at,
        changed_at=kept.changed_at,
        deleted_at=kept.deleted_at,
        sync_id=kept.sync_id,
        erased_at=kept.deleted_at if kept.is_erased else None,
    )
