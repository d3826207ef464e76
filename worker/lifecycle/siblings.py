"""SiblingsAtWork: which children of syncs this process works on, so that only the last of them looks at the others."""

from __future__ import annotations

import threading
from collections import defaultdict

from worker.jobs.job import Job


class SiblingsAtWork:
    """Counts, for all threads of a process, the children of each sync that have yet to look whether it is over.

    A child whose end is stored, and that leaves while a sibling is here, need not look: the sibling does so after its
    own end. If that hands its job back or dies, the sync is not over; and if it dies between its end and its look, the
    sweep looks, as it does for everyone who dies there.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._here: defaultdict[str, set[str]] = defaultdict(set)

    def join(self, job: Job) -> None:
        """Count a job that is held now. One without a sync counts for nothing."""
        if job.parent_id is not None:
            with self._changing:
                self._here[job.parent_id].add(job.job_id)

    def leave(self, job: Job) -> bool:
        """Count the job no more, if it was; return whether none of its siblings is left here."""
        if job.parent_id is None:
            return True
        with self._changing:
            left = self._here[job.parent_id]
            left.discard(job.job_id)
            if not left:
                del self._here[job.parent_id]
            return not left
