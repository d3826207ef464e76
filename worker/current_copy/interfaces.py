"""The seams of the current copy: what is asked of the store that keeps it, and of several stores at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from worker.current_copy.record import CompleteSync, CopiedRecord, KnownRecord, Missed, Moment, Place, Record, Shown
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.records.erasure import Erasure
from worker.records.types import CopyId, ExportType, PagePlace

T = TypeVar("T")


class Transactions(Protocol):
    """Writes of several stores that happen all or not at all."""

    def run(self, work: Callable[[], T]) -> T:
        """Do the work in one transaction; it may be done several times, of which the last one counts.

        What it raises undoes all of it. Raises StoreUnavailableError when MongoDB is away.
        """


class ErasureStore(Protocol):
    """Erasures, never removed. Every method raises StoreUnavailableError when MongoDB is away.

    An erasure is due when nobody works on it: at once when it is handed over, a minute after it was taken, and when its
    second look may be.
    """

    def add(self, copy: CopyId, record_id: int, *, requested_by: str) -> Erasure:
        """Write an erasure down for the one who asks to work on it."""

    def open_of(self, copy: CopyId, record_ids: Iterable[int]) -> list[Erasure]:
        """Return the erasures of these records of a copy that are not finished."""

    def has_open(self, account_id: str, export_type: ExportType) -> bool:
        """Whether there is an erasure of such records of the account, from whatever portal, that is not finished."""

    def take_due(self) -> Erasure | None:
        """Return an erasure that is due to one who works on it now; None when there is none."""

    def hand_over(self, erasure: Erasure, *, looked_through: PagePlace | None) -> None:
        """Have somebody else go on with the present look from behind this page, unless it is over by now."""

    def note_copy(self, erasure: Erasure, *, was_there: bool) -> None:
        """Note that the record is not in the copy any more, and whether it was."""

    def count_page(self, erasure: Erasure, *, job_id: str) -> None:
        """Count a page of a job that held the record, and the job, unless the page before was one of it too."""

    def note_unreadable(self, erasure: Erasure, page: PagePlace) -> None:
        """Note that a page which may hold the record cannot be read. Idempotent."""

    def note_look(self, erasure: Erasure) -> Erasure:
        """Note that all pages were looked through; with the second look the erasure is finished. Give it as it is."""


class RecordStore(Protocol):
    """The current copies. Every method raises StoreUnavailableError when MongoDB is away.

    An account has one of each portal. The first is of the first portal that changes it, and so is what was stored
    without one. What changes a copy raises CopyBusyError while that is being removed; to readers it is empty then.
    """

    def begin_change(self, copy: CopyId) -> Moment:
        """Return the moment of the change that is part of this transaction.

        Two changes of one copy exclude each other from here on, so that they become visible in the order of their
        moments: who has read up to one of these has missed nothing before it.
        """

    def known(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, KnownRecord]:
        """Say what the copy holds under these ids."""

    def all_known(self, copy: CopyId, *, most: int) -> Mapping[int, KnownRecord] | None:
        """Say what the copy holds, deleted records included; None where there are more than `most`."""

    def bodies(self, copy: CopyId, record_ids: Iterable[int]) -> Mapping[int, bytes]:
        """Return the records that the copy holds under these ids, as JSON; deleted ones too, but no erased ones."""

    def encode(self, records: Iterable[Record]) -> list[Record]:
        """Return the records in the form in which `insert` and `replace` write them.

        This takes time and neither reads nor writes, so it is done before the transaction. Records that are not encoded
        by then are encoded within it.
        """

    def insert(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        """Put in records that are new to the copy."""

    def replace(
        self, copy: CopyId, records: Sequence[Record], *, at: datetime, sync_id: str, is_from_feed: bool = False
    ) -> None:
        """Put records in the place of those with the same ids, which live again if they were deleted.

        That they were missed is forgotten.
        """

    def mark_deleted(
        self, copy: CopyId, record_ids: Iterable[int], *, unless_since: datetime, at: datetime, sync_id: str
    ) -> int:
        """Mark records as deleted, those left out that have changed since an instant; give how many were marked."""

    def note_missed(self, copy: CopyId, record_ids: Iterable[int], missed: Missed) -> None:
        """Note that a sync has missed records that live; what is noted of one already stays. No reader sees it."""

    def note_found(self, copy: CopyId, record_ids: Iterable[int]) -> None:
        """Forget that records were missed."""

    def ids(self, copy: CopyId, *, after: int | None, through: int | None) -> Iterator[int]:
        """Return the ids there are, of deleted records too, in ascending order, above `after` and up to `through`."""

    def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        """Return one record, deleted or not. Raises RecordNotFoundError, for an erased one as well."""

    def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: Place | None, limit: int
    ) -> list[CopiedRecord]:
        """Return at most so many records in the order of their last change: from `since` on, after a place.

        They are read at one moment: whoever goes on after the last of them misses no change. Erased ones are among the
        deleted ones.

        It gives fewer as soon as they are MOST_BYTES_AT_ONCE in all, but at least one.
        """

    def resume(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, is_at_start: bool = False
    ) -> CopyProgress:
        """Return an export's account as it is kept with the copy, at first `copying`, to who holds its job now.

        From here on nobody with an older epoch changes the copy in the name of the export. One that `is_at_start`, with
        no page counted, starts over as of this instant, by the database's clock: what it changed stays counted.
        """

    def keep_account(
        self, copy: CopyId, job_id: str, copying: CopyProgress, *, epoch: int, complete: CompleteSync | None = None
    ) -> None:
        """Keep an export's account, as a part of the transaction that changes the copy.

        Together with it a sync that is `complete` in its mode is remembered, unless a later one of that mode is.
        Raises LeaseLostError, with nothing kept, when somebody with a newer epoch has taken the export up.
        """

    def last_sync(self, copy: CopyId, *modes: SyncMode) -> CompleteSync | None:
        """Return the latest complete sync of these modes; None before the first."""

    def erase(self, copy: CopyId, record_id: int, *, at: datetime) -> bool:
        """Replace a record by a tombstone, which holds its id and counts as deleted; return whether there was one.

        Part of a transaction that begins a change. A tombstone stays as it is, until HubSpot has the record again.
        """

    def first_portal(self, copy: CopyId) -> int | None:
        """Return the portal of the account's first copy of this type; None where it has none, or nobody has told."""

    def remove_some(self, copy: CopyId, *, most: int) -> bool:
        """Remove at most so many records of a copy, and with the last ones the copy; False when some are left."""

    def adopt_some(self, *, most: int) -> bool:
        """Write the portal into at most so many records that an older version has stored; False when none are left."""
