"""Erasures: a record that is to be forgotten and how far that has come, and what a job has lost to them; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from worker.records.checksum import difference_of_checksums, sum_of_checksums, sum_of_ids
from worker.records.types import CopyId, PagePlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The to-do and the audit line at once. `was_in_copy` is None until the record has been taken out of the copy.

    Ids of two portals are two people's: what is known to be of another portal than the copy stays as it is.

    The pages of the account are looked through twice: at once, and again when every call to HubSpot that was under way
    has ended. Until then the erasure is open, and what comes of the record is not kept. `looked_through` is how far the
    present pass had come when the erasure was released; None: it is to begin. Pages that may hold the record and could
    not be read are `unreadable`.
    """

    erasure_id: str
    copy_id: CopyId
    record_id: int
    requested_by: str
    requested_at: datetime
    was_in_copy: bool | None = None
    pages: int = 0
    jobs: int = 0
    looks: int = 0
    looked_through: PagePlace | None = None
    unreadable: tuple[PagePlace, ...] = ()
    finished_at: datetime | None = None

    def concerns(self, hub_id: int | None) -> bool:
        """Whether what is of this portal may hold the record; None: of which is not known."""
        return self.copy_id.hub_id is None or hub_id in {self.copy_id.hub_id, None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A page as it is to be without a record, made before the transaction that writes it: `plan` is the store's own.

    `lost` is how many records it loses.
    """

    job_id: str
    number: int
    lost: int
    plan: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many records were erased from a page or a job, and the checksum of their ids."""

    records: int = 0
    checksum: str = "0" * 64

    @classmethod
    def of_parts(cls, parts: Iterable[Self]) -> Self:
        """Add up what was erased from parts of something."""
        each = list(parts)
        return cls(
            records=sum(part.records for part in each), checksum=sum_of_checksums(part.checksum for part in each)
        )

    def after(self, record_id: int, *, records: int) -> Self:
        """Count records that were taken out, all with the same id."""
        return replace(
            self,
            records=self.records + records,
            checksum=sum_of_ids([record_id] * records, start=self.checksum),
        )

    def taken_from(self, checksum: str) -> str:
        """Return the checksum of the ids that are left."""
        return difference_of_checksums(checksum, self.checksum)
