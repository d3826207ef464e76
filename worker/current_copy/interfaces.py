"""The interfaces of the current copy: stores of records and erasures, and transactions over several stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

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
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.records.erasure import Erasure
from worker.records.types import CopyId, ExportType, PagePlace

T = TypeVar("T")


class Transactions(Protocol):
    """Writes of several stores that happen all or not at all."""

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in one transaction; it may be called several times, of which the last one counts.

        An exception of `work` rolls back. Raises StoreUnavailableError when MongoDB is away.
        """


class ErasureStore(Protocol):
    """Erasures, which are never removed. Every method raises StoreUnavailableError when MongoDB is away.

    An erasure takes two passes over the stored pages. It is due when nobody works on it: at once after it was released,
    a minute after it was claimed, and when its second pass may begin.
    """

    def add(self, copy: CopyId, record_id: int, *, requested_by: str) -> Erasure:
        """Record an erasure, claimed by the caller."""

    def open_of(self, copy: CopyId, record_ids: Iterable[int]) -> list[Erasure]:
        """Return the unfinished erasures of these records of a copy."""

    def has_open(self, account_id: str, export_type: ExportType) -> bool:
        """Whether there is an unfinished erasure of this type's records of the account, in whatever portal."""

    def take_due(self) -> Erasure | None:
        """Claim an erasure that is due; None where there is none."""

    def release(self, erasure: Erasure, *, looked_through: PagePlace | None) -> None:
        """Release an erasure, to be resumed after this page, unless someone has finished the pass by now."""

    def note_copy(self, erasure: Erasure, *, was_there: bool) -> None:
        """Record that the copy does not hold the record any more, and whether it did."""

    def count_page(self, erasure: Erasure, *, job_id: str) -> None:
        """Count a page that held the record, and its job, unless the last counted page was of the same job."""

    def note_unreadable(self, erasure: Erasure, page: PagePlace) -> None:
        """Record that a page which may hold the record cannot be read. Idempotent."""

    def finish_pass(self, erasure: Erasure) -> Erasure:
        """Record the end of a pass and return the erasure, which is finished after the second one."""


class RecordStore(Protocol):
    """The current copies. Every method raises StoreUnavailableError when MongoDB is away.

    An account has a copy for each portal. The first one belongs to the first portal that changes it, as does what was
    stored before portals were known. While a copy is being removed, changes raise CopyBusyError, and readers find it
    empty.
    """

    def begin_change(self, copy: CopyId) -> Moment:
        """Return the instant of the change that this transaction makes.

        From here on two changes of one copy exclude each other, so that they become visible in the order of their
        instants: a reader that has read up to one of these has missed nothing before it.
        """

    def known(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, KnownRecord]:
        """Return what the copy holds under these ids, without the records' contents."""

    def all_known(self, copy: CopyId, *, most: int) -> Mapping[int, KnownRecord] | None:
        """Return the same of all records, deleted ones included; None where there are more than `most`."""

    def bodies(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, bytes]:
        """Return these records as JSON, deleted ones included, erased ones not."""

    def encode(self, records: Iterable[Record]) -> list[Record]:
        """Return the records in the form that `insert` and `replace` write.

        It takes time and does no I/O, so call it before the transaction; records that are not encoded then are encoded
        within it.
        """

    def insert(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        """Insert records that are new to the copy."""

    def replace(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        """Replace the records with the same ids, which are live again if they were deleted, and not missed any more."""

    def mark_deleted(
        self, copy: CopyId, record_ids: Iterable[int], *, unless_since: datetime, at: datetime, sync_id: str
    ) -> int:
        """Mark records as deleted, except those that have changed since an instant; return how many were marked."""

    def note_missed(self, copy: CopyId, record_ids: Iterable[int], missed: Missed) -> None:
        """Record that a sync has missed live records; an earlier such mark stays. Readers are not shown it."""

    def note_found(self, copy: CopyId, record_ids: Iterable[int]) -> None:
        """Remove the mark of `note_missed`."""

    def ids(self, copy: CopyId, *, after: int | None, through: int | None) -> Iterator[int]:
        """Yield all ids, also of deleted records, in ascending order, above `after` and up to `through`."""

    def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        """Return one record, deleted or not. Raises RecordNotFoundError, for an erased one as well."""

    def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: ChangePosition | None, limit: int
    ) -> list[CopiedRecord]:
        """Return at most `limit` records in the order of their last change, from `since` on and behind `after`.

        They are one snapshot: a reader that continues behind the last of them misses no change. Erased records are
        among the deleted ones. Fewer are returned once they add up to MOST_BYTES_AT_ONCE, but at least one.
        """

    def resume(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, is_at_start: bool = False
    ) -> CopyProgress:
        """Return an export's progress as stored with the copy, initially `copying`, to the holder of its job's lease.

        From here on no holder of an older epoch changes the copy for this export. One that `is_at_start`, with no page
        counted, starts over as of this instant, by the database's clock; its earlier changes stay counted.
        """

    def save_progress(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, complete: CompleteSync | None = None
    ) -> None:
        """Store an export's progress in the transaction that changes the copy.

        A sync that is `complete` in its mode is stored with it, unless a later one of that mode is. Raises
        LeaseLostError, with nothing stored, where the holder of a newer epoch has resumed the export.
        """

    def last_sync(self, copy: CopyId, *modes: SyncMode) -> CompleteSync | None:
        """Return the latest complete sync of these modes; None before the first."""

    def erase(self, copy: CopyId, record_id: int, *, at: datetime) -> bool:
        """Replace a record by a tombstone, which holds its id and counts as deleted; return whether there was one.

        Part of a transaction that begins a change. A tombstone stays until HubSpot has the record again.
        """

    def first_portal(self, copy: CopyId) -> int | None:
        """Return the portal of the account's first copy of this type; None where there is none, or it is not known."""

    def types_of(self, account_id: str, hub_id: int) -> Sequence[ExportType]:
        """Return the types of which the account has a copy of this portal."""

    def remove_some(self, copy: CopyId, *, most: int) -> bool:
        """Remove at most so many records of a copy, and with the last ones the copy; False while some are left."""

    def adopt_some(self, *, most: int) -> bool:
        """Write the portal into at most so many records of an older version; False where none are left."""
