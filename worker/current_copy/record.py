"""Records of the current copy: which copy, what is known of them, and what a page of HubSpot's changes; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Self

from worker.jobs.copy_progress import SyncMode
from worker.records.page import record_ids, split_records
from worker.records.types import ExportType

_LISTS_LAG = timedelta(minutes=10)
_MOST_BYTES_A_PORTION = 8 * 1024 * 1024  # a page of 250 engagements can have 43 MB, and a transaction only has seconds
_MOST_RECORDS_A_PORTION = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSync:
    """A sync that has seen all records of a copy, or all that a feed told of, none of them before `since`."""

    sync_id: str
    since: datetime
    mode: SyncMode


@dataclass(frozen=True, slots=True)
class Record:
    """A record as HubSpot sent it; the digest of its bytes tells whether it has changed.

    `encoded` is the form in which a store writes it, where that was made before the transaction in which it is written.
    """

    record_id: int
    body: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    encoded: object = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, record_id: int, body: bytes) -> Self:
        """Take a record from a page."""
        return cls(record_id, body, sha256(body).digest())


def records_of(export_type: ExportType, body: bytes) -> list[Record]:
    """Return the records of a page, each once: of two with the same id the later one.

    Those without an id are left out, and those with one below 0, which HubSpot never gave: nothing can stand for them.
    """
    pairs = zip(record_ids(export_type, body), split_records(export_type, body), strict=True)
    latest = {record_id: record for record_id, record in pairs if record_id is not None and record_id >= 0}
    return [Record.of(record_id, record) for record_id, record in latest.items()]


def in_portions(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Return records in portions that one transaction can write; one that is too large is a portion by itself."""
    portion, size = list[Record](), 0
    for record in records:
        if portion and (size + len(record.body) > _MOST_BYTES_A_PORTION or len(portion) == _MOST_RECORDS_A_PORTION):
            yield portion
            portion, size = [], 0
        portion.append(record)
        size += len(record.body)
    if portion:
        yield portion


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """That a complete list did not hold a record: when that was noted, by the database's clock, and by which sync."""

    sync_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """What the copy holds under an id, content apart; `sync_id` is the sync that changed it last.

    `is_from_feed`: a feed of changes brought it, not the list of all. `missed` is what a sync noted that did not find
    it and had no proof that it was gone; whoever finds it takes that away. `kind` is the type of an engagement.
    """

    digest: bytes
    is_deleted: bool
    changed_at: datetime
    sync_id: str
    is_from_feed: bool = False
    missed: Missed | None = None
    kind: str | None = None

    def is_gone(self, since: datetime) -> bool:
        """Whether it lives in the copy, and a list that began to be read then and lacks it says that it is gone.

        Lists lag behind HubSpot's feeds: they may not know yet what one of these brought.
        """
        lag = _LISTS_LAG if self.is_from_feed else timedelta()
        return not self.is_deleted and self.changed_at < since - lag

    def was_missed_before(self, since: datetime, *, sync_id: str) -> bool:
        """Whether a sync has missed it that had ended with that when another one, which is `sync_id`, began."""
        return self.missed is not None and self.missed.sync_id != sync_id and self.missed.at < since


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A change of a copy. `at` is later than that of every change before; `now` is the database's clock, unbent."""

    at: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What of a page the copy does not hold: records that are new to it, and records to put in another's place.

    `found` are the ids of those that the copy holds as they are, but a sync has missed.
    """

    new: Sequence[Record]
    other: Sequence[Record]
    found: Collection[int]
    created: int
    changed: int


def is_as_known(records: Iterable[Record], known: Mapping[int, KnownRecord]) -> bool:
    """Whether the copy holds all of these records as they are, so that there is nothing to write."""
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
    """Compare a page that was asked for at `asked_at` with what is known of its records.

    A page says nothing about a record that has changed in the copy since it was asked for: another sync was faster.
    A record that was deleted and is back counts as created; one that this sync has changed before is not counted again.
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


def _missed(known: Mapping[int, KnownRecord]) -> set[int]:
    return {record_id for record_id, held in known.items() if held.missed is not None}


class Shown(StrEnum):
    """Which records a list shows."""

    LIVING = "false"
    ALL = "true"
    DELETED = "only"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a record in the order of change."""

    changed_at: datetime
    record_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedRecord:
    """A record of the copy: `body` is HubSpot's record as JSON, `synced_at` when that was brought.

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
    def place(self) -> Place:
        """Where it stands in the order of change."""
        return Place(self.changed_at, self.record_id)
