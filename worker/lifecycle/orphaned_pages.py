"""OrphanedPages: removes stored pages whose job is gone, whoever has left them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from worker.jobs.interfaces import JobStore
from worker.lifecycle.due_work import ORPHANED_PAGES
from worker.lifecycle.interfaces import UpkeepStore
from worker.pages.interfaces import PageStore

_log = structlog.get_logger()

_EVERY_S = 300.0
_GONE_FOR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedPages:
    """Walks through the jobs that have pages, some hundred every few minutes, and checks whether they still exist.

    A worker that is frozen while it stores a page may do so after its job was deleted, and not live to take it back. A
    page carries no end before its job has one, so nothing else would find it. Jobs are stored before their pages; a job
    that is gone twice, an hour apart, is none that is just being made again under the same id.
    """

    jobs: JobStore
    pages: PageStore
    upkeep: UpkeepStore
    jobs_at_once: int = 500

    def collect(self) -> None:
        """Do the next part of the walk when it is due. Raises StoreUnavailableError."""
        if self.upkeep.acquire(ORPHANED_PAGES, lease_s=_EVERY_S) is None:
            return
        found = self.pages.jobs_after(self.upkeep.position(ORPHANED_PAGES), limit=self.jobs_at_once)
        known = self.jobs.stored_among(found)
        for job_id in self.pages.orphaned_for([each for each in found if each not in known], seconds=_GONE_FOR_S):
            self.pages.remove(job_id)
            _log.warning("orphaned_pages_removed", job_id=job_id)
        self.upkeep.move(ORPHANED_PAGES, found[-1] if len(found) == self.jobs_at_once else None)
