"""JobCollection: what all parts of the store of jobs share."""

from __future__ import annotations

from pymongo import ASCENDING

from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION, REMOVED
from worker.jobs.mongo.reading import JobReader
from worker.jobs.mongo.timing import TIMED
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors
from worker.mongo.spoiled import SpoiledDocuments

HIDE: list[Document] = [{"$set": {"status": REMOVED, "expires_at": None}}, TIMED]
"""The change that hides a job from everyone. TTL must not remove it before its pages are gone."""


class JobCollection:
    """The collection, and how its documents are read. Each part of the store is a subclass and works by itself."""

    def __init__(self, database: MongoDatabase, *, spoiled: SpoiledDocuments | None = None) -> None:
        self._database = database
        self._jobs = database[COLLECTION]
        self._reader = JobReader(self._jobs, spoiled or SpoiledDocuments())

    def _take(self, marked: Document, since: str, *, quiet_s: float, limit: int) -> list[Document]:
        """Return jobs that were marked `since` so long ago, and mark them anew: two calls, two reads a job."""
        silent = {**marked, "$expr": {"$lt": [f"${since}", from_now(-quiet_s)]}}
        with translated_errors():
            found = list(self._jobs.find(silent).sort(since, ASCENDING).limit(limit))
            ids = [document["_id"] for document in found]
            if ids:
                self._jobs.update_many({"_id": {"$in": ids}, **silent}, [{"$set": {since: "$$NOW"}}], hint="_id_")
        return found


def unchanged(job: Job) -> Document:
    """Match a free job as it was read. An expanded sync matches in any state: its children decide what it is."""
    if job.is_expanded:
        return {"_id": job.job_id, "is_expanded": True, "status": {"$ne": REMOVED}}
    return {
        "_id": job.job_id,
        "is_expanded": None,
        "status": job.status.value,
        "updated_at": job.updated_at,
        "expires_at": job.expires_at,
        "progress.pages": job.progress.pages,
        "lease": None,
    }


def has_to_be_followed(job: Job) -> bool:
    """Return whether the write that stores this end of a child has to mark it for its sync."""
    return job.parent_id is not None and job.status.is_terminal
