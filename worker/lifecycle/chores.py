"""OrphanedPages and JobAdoption: chores that a sweep does once in some minutes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from worker.jobs.interfaces import JobCounts
from worker.jobs.lease_interfaces import JobOutbox
from worker.lifecycle.interfaces import ADOPTION, ORPHANED_PAGES, UpkeepStore
from worker.pages.interfaces import PageStore

_log = structlog.get_logger()

_ORPHANS_EVERY_S, _ADOPTED_EVERY_S = 300.0, 600.0
_GONE_FOR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedPages:
    """Walks through the jobs that have pages, some hundred at a time, and removes pages whose job is gone.

    A worker that froze while it stored a page may store it after its job was deleted, and die before it can undo that.
    Pages carry no expiry before their job has one, so nothing else would find them. Jobs are stored before their pages;
    one that is missing twice, an hour apart, is not one that is just being stored again under the same id.
    """

    jobs: JobCounts
    pages: PageStore
    upkeep: UpkeepStore
    jobs_at_once: int = 500

    def collect(self) -> None:
        """Do the next part of the walk if it is due. Raises StoreUnavailableError."""
        if self.upkeep.acquire(ORPHANED_PAGES, lease_s=_ORPHANS_EVERY_S) is None:
            return
        found = self.pages.jobs_after(self.upkeep.position(ORPHANED_PAGES), limit=self.jobs_at_once)
        known = self.jobs.stored_among(found)
        for job_id in self.pages.orphaned_for([each for each in found if each not in known], seconds=_GONE_FOR_S):
            self.pages.remove(job_id)
            _log.warning("orphaned_pages_removed", job_id=job_id)
        self.upkeep.move(ORPHANED_PAGES, found[-1] if len(found) == self.jobs_at_once else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAdoption:
    """Completes what processes of an older version write while this one runs beside them, by a look at all open jobs.

    An older version that retries a job, and lets it wait for HubSpot, stores none of the instants that sweeps go by.
    Once the last process of that version is gone, nobody else would come for the job.
    """

    jobs: JobOutbox
    upkeep: UpkeepStore

    def adopt(self) -> None:
        """Adopt jobs if it is due. Raises StoreUnavailableError."""
        if self.upkeep.acquire(ADOPTION, lease_s=_ADOPTED_EVERY_S) is not None:
            self.jobs.adopt_all()
