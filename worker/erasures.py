"""Erasures: a record that is to be forgotten and how far that has come, and what a job has lost to them; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from worker.pages import PagePlace
from worker.records import CopyId
from worker.tallies import difference_of_checksums, sum_of_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The to-do and the audit line at once. `was_in_copy` is None until the record has been taken out of the copy.

    The pages of the account are looked through twice: at once, and again when every call to HubSpot that was under way
    has ended. Until then the erasure is open, and what comes of the record is not kept. `looked_through` is how far the
    present look had come when it was handed over; None: it is to begin.
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
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many of a job's records were erased, and the checksum of their ids; `last` is the latest of the erasures."""

    records: int = 0
    checksum: str = "0" * 64
    last: str | None = None

    def after(self, erasure: Erasure, *, records: int) -> Self:
        """Count records that an erasure took out of a page, all with the same id."""
        return replace(
            self,
            records=self.records + records,
            checksum=sum_of_ids([erasure.record_id] * records, start=self.checksum),
            last=erasure.erasure_id,
        )

    def taken_from(self, checksum: str) -> str:
        """Give the checksum of the ids that are left."""
        return difference_of_checksums(checksum, self.checksum)
