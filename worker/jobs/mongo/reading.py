"""JobReader: reads jobs from documents, so that one that cannot be read affects no other job."""

from __future__ import annotations

from collections.abc import Iterable

from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION, from_document
from worker.mongo.database import Document, MongoCollection, from_now
from worker.mongo.spoiled import SpoiledDocuments

_AGAIN_IN_S = 600.0
_LATER = from_now(_AGAIN_IN_S)
_SPOILED = (KeyError, TypeError, ValueError, AttributeError, IndexError)  # what reading a malformed document raises

_PUT_OFF: Document = {
    "$set": {
        "lease": None,
        "spoiled_at": "$$NOW",
        "ready_at": "$$REMOVE",
        "queued_at": "$$REMOVE",
        "due_at": _LATER,
        "unfollowed_since": {"$cond": [{"$gt": ["$unfollowed_since", None]}, _LATER, "$$REMOVE"]},
        "unsettled_since": {"$cond": [{"$gt": ["$unsettled_since", None]}, _LATER, "$$REMOVE"]},
    }
}


class JobReader:
    """Reads documents. A spoiled one is reported, and put off where others queue behind it.

    It is tried again after ten minutes: whoever repairs it need do nothing else, and one that is only newer than this
    program continues with the first process that understands it.
    """

    def __init__(self, jobs: MongoCollection, spoiled: SpoiledDocuments) -> None:
        self._jobs = jobs
        self._spoiled = spoiled

    def read(self, document: Document) -> Job | None:
        """Return the job, or report the document and return None."""
        try:
            return from_document(document)
        except _SPOILED as error:
            self._spoiled.report(COLLECTION, document["_id"], error)
            return None

    def read_all(self, documents: Iterable[Document]) -> list[Job]:
        """Return the jobs that can be read."""
        return [job for job in map(self.read, documents) if job is not None]

    def take(self, document: Document) -> Job | None:
        """Return a job to work on, or put the document off and return None."""
        job = self.read(document)
        if job is None:
            self._put_off(document["_id"])
        return job

    def take_all(self, documents: Iterable[Document]) -> list[Job]:
        return [job for job in map(self.take, documents) if job is not None]

    def put_off(self, job_id: object, error: Exception) -> None:
        """Report a document and put it off: not even the server can evaluate it."""
        self._spoiled.report(COLLECTION, job_id, error)
        self._put_off(job_id)

    def _put_off(self, job_id: object) -> None:
        self._jobs.update_one({"_id": job_id}, [_PUT_OFF])
