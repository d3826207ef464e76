"""Records of the current copy: what is known of them, and what a page changes; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Self

from worker.jobs.copy_progress import SyncMode
from worker.records.deletion import Deletion
from worker.records.page import record_ids, split_records
from worker.records.types import ExportType

_LISTS_LAG = timedelta(minutes=10)
_MOST_BYTES_A_BATCH = 8 * 1024 * 1024  # a page of 250 engagements can have 43 MB, and a transaction lasts only seconds
_MOST_RECORDS_A_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSync:
    """A sync that has read all records, or all changes of a feed, no earlier than `since`.

    `left_out` are lists of several that it could not read, by their kinds' names; `properties` is the key of those that
    it asked for (`ExportRequest.properties_key`). `deletions_told` is when the last sync up to an incremental one began
    that was told of all deletions, or saw them.
    """

    sync_id: str
    since: datetime
    mode: SyncMode
    left_out: tuple[str, ...] = ()
    properties: str | None = None
    deletions_told: datetime | None = None

    @property
    def all_deletions_told(self) -> datetime | None:
        """Up to when all deletions are known; None: an older version has not noted it."""
        return self.since if self.mode is SyncMode.FULL else self.deletions_told


@dataclass(frozen=True, slots=True)
class Record:
    """A record as HubSpot sent it, with the digest of its bytes, by which changes are found.

    `encoded` is the form that a store writes, where it was made before the transaction.
    """

    record_id: int
    body: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    encoded: object = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, record_id: int, body: bytes) -> Self:
        return cls(record_id, body, sha256(body).digest())


def records_of(export_type: ExportType, body: bytes) -> list[Record]:
    """Return the records of a page, of two with the same id the later one.

    Records without an id, or with one below 0, are left out: HubSpot has no such ids.
    """
    pairs = zip(record_ids(export_type, body), split_records(export_type, body), strict=True)
    latest = {record_id: record for record_id, record in pairs if record_id is not None and record_id >= 0}
    return [Record.of(record_id, record) for record_id, record in latest.items()]


def in_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records in batches that one transaction can write; one that is too large is a batch by itself."""
    batch, size = list[Record](), 0
    for record in records:
        if batch and (size + len(record.body) > _MOST_BYTES_A_BATCH or len(batch) == _MOST_RECORDS_A_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.body)
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A complete list did not hold a record: noted by this sync, at this instant of the database's clock."""

    sync_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the copy holds under an id, without the content; `sync_id` is the last sync that changed it.

    `is_from_feed`: it came from a feed of changes, not from the list of all. `missed` is set by a sync that did not
    find it but had no proof that it was deleted; a sync that finds it removes that. `kind` is an engagement's type.
    """

    digest: bytes
    is_deleted: bool
    changed_at: datetime
    sync_id: str
    is_from_feed: bool = False
    missed: Missed | None = None
    kind: str | None = None

    def is_gone(self, since: datetime) -> bool:
        """Whether it is live in the copy, and a list that was read from `since` on and lacks it shows that it is gone.

        Lists lag behind HubSpot's feeds, and may not hold yet what a feed has brought.
        """
        lag = _LISTS_LAG if self.is_from_feed else timedelta()
        return not self.is_deleted and self.changed_at < since - lag

    def was_missed_before(self, since: datetime, *, sync_id: str) -> bool:
        """Whether another sync than `sync_id` had missed it before `since`, when `sync_id` began."""
        return self.missed is not None and self.missed.sync_id != sync_id and self.missed.at < since


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The instant of a change. `at` is later than that of every earlier change; `now` is the database's clock."""

    at: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What of a page differs from the copy: `new` records to insert and `other` ones to replace.

    `found` are the ids of records that are unchanged, but that a sync has missed.
    """

    new: Sequence[Record]
    other: Sequence[Record]
    found: Collection[int]
    created: int
    changed: int


def is_as_known(records: Iterable[Record], known: Mapping[int, KnownRecord]) -> bool:
    """Whether the copy holds all of these records unchanged, so that there is nothing to write."""
    return all(
        (held := known.get(record.record_id)) is not None
        and not held.is_deleted
        and held.missed is None
        and held.digest == record.digest
        for record in records
    )


def compare(
    records: Iterable[Record], known: Mapping[int, KnownRecord], *, asked_at: datetime, sync_id: str
) -> Differences:
    """Compare a page that was requested at `asked_at` with what is known of its records.

    A page says nothing about a record that has changed in the copy since the request: another sync was faster. A
    deleted record that is back counts as created; one that this sync has changed before is not counted again.
    """
    new: list[Record] = []
    back: list[Record] = []
    changed: list[Record] = []
    counted = 0
    for record in records:
        held = known.get(record.record_id)
        if held is None:
            new.append(record)
        elif held.changed_at > asked_at:
            continue
        elif held.is_deleted:
            back.append(record)
        elif held.digest != record.digest:
            changed.append(record)
            counted += held.sync_id != sync_id
    other = back + changed
    return Differences(
        new=new,
        other=other,
        found=_missed(known).difference(record.record_id for record in other),
        created=len(new) + len(back),
        changed=counted,
    )


def archived_of(deletions: Iterable[Deletion], known: Mapping[int, KnownRecord], *, sync_id: str) -> list[int]:
    """Return the ids of records that are live in the copy, and that HubSpot has archived since it was told of them.

    What this sync has found alive after that was restored, or the one list or the other lags behind: the next sync sees
    which.
    """
    held = [(each, known[each.record_id]) for each in deletions if each.record_id in known]
    return [each.record_id for each, copy in held if not copy.is_deleted and not _was_found_later(each, copy, sync_id)]


def _was_found_later(deletion: Deletion, held: KnownRecord, sync_id: str) -> bool:
    is_of_sync = held.sync_id == sync_id and held.is_from_feed
    return is_of_sync and (deletion.archived_at is None or deletion.archived_at < held.changed_at)


def _missed(known: Mapping[int, KnownRecord]) -> set[int]:
    return {record_id for record_id, held in known.items() if held.missed is not None}


class Shown(StrEnum):
    """Which records a list includes."""

    LIVING = "false"
    ALL = "true"
    DELETED = "only"


@dataclass(frozen=True, slots=True)
class ChangePosition:
    """The position of a record in the order of change."""

    changed_at: datetime
    record_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedRecord:
    """A record of the copy: `body` is HubSpot's record as JSON, stored at `synced_at`.

    An erased one is a tombstone: deleted, with `null` for a body.
    """

    record_id: int
    body: bytes = field(repr=False)
    synced_at: datetime
    changed_at: datetime
    deleted_at: datetime | None
    sync_id: str
    erased_at: datetime | None = None

    @property
    def place(self) -> ChangePosition:
        return ChangePosition(self.changed_at, self.record_id)
