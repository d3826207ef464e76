"""JobFinisher: receipts and expiries of finished jobs, and what follows from them for syncs."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from worker.jobs.interfaces import JobStore, SyncStore
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.jobs.sync import is_left_over
from worker.messaging.interfaces import JobNotifier
from worker.pages.audit import receipt_of
from worker.pages.interfaces import PageStore
from worker.records.erasure import Erased


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinisher:
    """Finishes jobs. Each step may be repeated; the sweeper does so for a process that died between two of them.

    An expiry is always set on the pages first: a page without a job would never be removed.
    """

    jobs: JobStore
    pages: PageStore
    result_ttl: timedelta
    notifier: JobNotifier | None = None

    def finish(self, job: Job, *, counts_ids: bool = True, stored_pages: int | None = None) -> Job:
        """Return a finished job with its receipt and expiry, for the caller to store; its pages have theirs already.

        Ids that came in no order are counted one by one, unless there are too many of them or `counts_ids` is false.
        `stored_pages` is how many there are, where the caller knows.
        """
        receipt = receipt_of(job, self.pages, counts_ids=counts_ids, stored_pages=stored_pages)
        finished = replace(job.expire(after=self.result_ttl), receipt=receipt)
        if finished.expires_at is not None and job.kind is JobKind.EXPORT:
            self.pages.expire(job.job_id, at=finished.expires_at)
        return finished

    def propagate_to_sync(self, job: Job, *, is_swept: bool = False) -> None:
        """Update the sync that a job is, or is part of, from its children; notify its waiters; end it if it is over.

        A child whose sync is gone is removed. `is_swept` marks the sweeper's repair of an earlier call that died.
        """
        sync_id = job.job_id if job.sync is not None else job.parent_id
        if sync_id is None:
            return
        sync = self.jobs.follow(sync_id, is_swept=is_swept)
        if sync is None or is_left_over(sync):
            self._remove(job)
            return
        self.end_sync(sync)
        if self.notifier is not None:
            self.notifier.notify(sync)

    def end_sync(self, sync: Job) -> None:
        """Set one expiry for a finished sync, its children and all their pages.

        Where a child still lacks its receipt nothing is done: the sweeper draws that up and then comes back.
        """
        if sync.finished_at is None or sync.expires_at is not None or (sync.is_expanded and sync.receipt is None):
            return
        at = sync.finished_at + self.result_ttl
        if sync.children:
            self.pages.expire_all(sync.children, pages=sync.progress.pages, at=at)
        self.jobs.end_sync(sync, at=at)

    def _remove(self, job: Job) -> None:
        if self.jobs.start_removal(job):
            self.pages.remove(job.job_id)
            self.jobs.finish_removal(job.job_id)


class SiblingsAtWork:
    """The children of syncs that this process works on, so that only the last of them propagates to the sync.

    A child that leaves while a sibling is here has stored its end already, and the sibling looks after its own end. If
    that one is requeued or dies, the sync is not over; if it dies between its end and its look, the sweeper looks.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._here: defaultdict[str, set[str]] = defaultdict(set)

    def join(self, job: Job) -> None:
        """Add a leased job; one without a sync is ignored."""
        if job.parent_id is not None:
            with self._changing:
                self._here[job.parent_id].add(job.job_id)

    def leave(self, job: Job) -> bool:
        """Remove a job, and return whether none of its siblings is left here: then the caller propagates."""
        if job.parent_id is None:
            return True
        with self._changing:
            left = self._here[job.parent_id]
            left.discard(job.job_id)
            if not left:
                del self._here[job.parent_id]
            return not left


def with_erased(read: Sequence[Job], *, jobs: SyncStore, pages: PageStore) -> list[Job]:
    """Return jobs as they were read, those with a receipt together with what has been erased of them since."""
    finished = [job for job in read if job.receipt is not None]
    if not finished:
        return list(read)
    exports = [*(job for job in finished if job.sync is None), *jobs.children_of(finished)]
    erased = pages.erased_of(exports)
    return [
        replace(job, erased=Erased.of_parts(erased[each] for each in (job.job_id, *job.children) if each in erased))
        for job in read
    ]
