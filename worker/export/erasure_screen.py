"""ErasureScreen: keeps what is being erased out of a slice's pages, with one question a slice instead of one a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.current_copy.eraser import Eraser
from worker.errors import ErasureAskedError
from worker.export.leases import HeldLease
from worker.jobs.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """The number of a page that is stored, but not counted by its job yet, and the ids of its records."""

    number: int
    ids: Sequence[int | None]


class ErasureScreen:
    """Counts a slice's pages. None is counted, and so none can be read, while it holds what was to be erased by then.

    An eraser records the erasure, marks the leases of the account's jobs, and looks through the stored pages, in this
    order. A page that was stored before it looked is seen by it. A later one is counted after the mark was made: then
    the count is refused, if the lease was there to be marked, and otherwise it was taken after the erasure had been
    recorded, so that the one question of this slice, put under the lease, has found it.
    """

    def __init__(self, lease: HeldLease, eraser: Eraser) -> None:
        self._lease = lease
        self._eraser = eraser
        self._has_open: bool | None = None

    def checkpoint(self, job: Job, pages: Sequence[StoredPage]) -> bool:
        """Store the job with these pages counted, without what is being erased; return whether it is to be cancelled.

        Not to be called by two threads at once. Raises LeaseLostError, StoreUnavailableError.
        """
        if pages and not self._is_needed(job):
            try:
                return self._lease.checkpoint(job, unless_marked=True)
            except ErasureAskedError:
                self._has_open = True
        for page in pages:
            self._eraser.keep_out(job, page.number, page.ids)
        return self._lease.checkpoint(job)

    def _is_needed(self, job: Job) -> bool:
        """Ask once; what is asked for later marks the lease."""
        if self._has_open is None:
            self._has_open = self._eraser.is_at_work(job)
        return self._has_open
