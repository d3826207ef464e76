"""MongoJobRemoval: JobRemoval, by a status that hides a job until its pages are gone."""

from __future__ import annotations

from collections.abc import Sequence

from worker.jobs.job import Job
from worker.jobs.mongo.collection import HIDE, JobCollection, unchanged
from worker.jobs.mongo.documents import REMOVED, children_in
from worker.jobs.mongo.timing import HAS_INTERRUPTED
from worker.mongo.database import Document, translated_errors


class MongoJobRemoval(JobCollection):
    """Hides jobs, and finds what was left hidden or without an expiry."""

    def start_removal(self, job: Job) -> bool:
        with translated_errors():
            if self._jobs.update_one(unchanged(job), HIDE).matched_count == 0:
                return False
        self._hide(job.children)
        return True

    def finish_removal(self, job_id: str) -> None:
        with translated_errors():
            self._jobs.delete_one({"_id": job_id, "status": REMOVED})

    def take_interrupted(self, *, quiet_s: float, limit: int) -> tuple[list[str], list[Job]]:
        found = self._take(HAS_INTERRUPTED, "unsettled_since", quiet_s=quiet_s, limit=limit)
        removed = [document for document in found if document["status"] == REMOVED]
        children = [each for document in removed for each in self._children_in(document)]
        self._hide(children)
        with translated_errors():
            endless = self._reader.take_all(document for document in found if document["status"] != REMOVED)
        return [*children, *(document["_id"] for document in removed)], endless

    def _hide(self, children: Sequence[str]) -> None:
        """Hide the children of a removed sync; the holder of a leased one finds out that it is left over."""
        if not children:
            return
        free = {"_id": {"$in": list(children)}, "lease": None}
        with translated_errors():
            self._jobs.update_many(free, HIDE)

    def _children_in(self, document: Document) -> list[str]:
        try:
            return children_in(document)
        except (KeyError, TypeError, ValueError) as error:
            self._reader.put_off(document["_id"], error)
            return []
