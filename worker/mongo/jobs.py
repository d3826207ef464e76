"""MongoJobStore: jobs in `integrations.hubspot.jobs`; who may write is decided by MongoDB's clock alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.errors import JobNotFoundError, LeaseLostError
from worker.jobs import Job, JobStatus
from worker.mongo.connection import Document, MongoDatabase, translated_errors
from worker.mongo.job_documents import from_document, state_of, to_document

COLLECTION = "integrations.hubspot.jobs"

_OPEN = [JobStatus.QUEUED.value, JobStatus.RUNNING.value, JobStatus.WAITING.value]
_HAS_LAPSED = {"$lt": ["$lease.expires_at", "$$NOW"]}  # no lease at all compares as lower, so it has lapsed as well
_IS_DUE = {"$lte": ["$resume_at", "$$NOW"]}


class MongoJobStore:
    """Jobs. Every decision about leases is one atomic update, with the server's clock (`$$NOW`)."""

    def __init__(self, database: MongoDatabase) -> None:
        self._jobs = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create what the queries below need. Doing it again changes nothing."""
        with translated_errors():
            self._jobs.create_index([("account_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)])
            self._jobs.create_index([("status", ASCENDING), ("published_at", ASCENDING)])
            self._jobs.create_index("expires_at", expireAfterSeconds=0)

    def add(self, job: Job) -> None:
        """Store a new job."""
        with translated_errors():
            try:
                self._jobs.insert_one({**to_document(job), "published_at": job.created_at})
            except DuplicateKeyError:
                return

    def get(self, job_id: str, *, account_id: str) -> Job:
        """Read one job of one account."""
        with translated_errors():
            document = self._jobs.find_one({"_id": job_id, "account_id": account_id})
        if document is None:
            raise JobNotFoundError
        return from_document(document)

    def remove(self, job_id: str) -> None:
        """Forget a queued job."""
        with translated_errors():
            self._jobs.delete_one({"_id": job_id, "status": JobStatus.QUEUED.value})

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a due job. Taking over from a holder whose lease has lapsed counts as a resume."""
        due = {"_id": job_id, "status": {"$in": _OPEN}, "$expr": {"$and": [_HAS_LAPSED, _IS_DUE]}}
        taken_over = {"$cond": [{"$gt": ["$lease", None]}, 1, 0]}
        change = {
            "status": JobStatus.RUNNING.value,
            "epoch": {"$add": ["$epoch", 1]},
            "lease": _lease(worker, lease_s),
            "attempts": {"$max": ["$attempts", 1]},
            "resumes": {"$add": ["$resumes", taken_over]},
            "lapses": {"$add": ["$lapses", taken_over]},
            "started_at": {"$ifNull": ["$started_at", at]},
            "updated_at": at,
            "resume_at": None,
            "reason": None,
        }
        with translated_errors():
            document = self._jobs.find_one_and_update(due, [{"$set": change}], return_document=ReturnDocument.AFTER)
        return from_document(document) if document is not None else None

    def checkpoint(self, job: Job, *, lease_s: float) -> None:
        """Store the job's state under its lease; a job that stops running gives the lease up in the same write."""
        if job.lease is not None and job.status is JobStatus.RUNNING:
            self._write(job, [{"$set": {**_literal(state_of(job)), "lease": _lease(job.lease.owner, lease_s)}}])
        else:
            self._write(job, {"$set": {**state_of(job), "lease": None, **_rung(job)}})

    def release(self, job: Job) -> None:
        """Give the lease up; the caller publishes the job next."""
        self._write(job, [{"$set": {"lease": None, "published_at": "$$NOW"}}])

    def mark_unpublished(self, jobs: Sequence[Job]) -> None:
        """Have the next sweep take these jobs."""
        with translated_errors():
            self._jobs.update_many({"_id": {"$in": [job.job_id for job in jobs]}}, {"$set": {"published_at": None}})

    def take_unpublished(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Take due jobs one by one, each by one atomic update, so that two sweepers never take the same."""
        with translated_errors():
            return list(itertools.islice(iter(lambda: self._take_one(quiet_s), None), limit))

    def _take_one(self, quiet_s: float) -> Job | None:
        silent_since = {"$subtract": ["$$NOW", int(quiet_s * 1000)]}
        is_silent = {"$lt": ["$published_at", silent_since]}
        document = self._jobs.find_one_and_update(
            {"status": {"$in": _OPEN}, "$expr": {"$and": [is_silent, _HAS_LAPSED, _IS_DUE]}},
            [{"$set": {"published_at": "$$NOW"}}],
            sort=[("published_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return from_document(document) if document is not None else None

    def _write(self, job: Job, change: Document | list[Document]) -> None:
        with translated_errors():
            result = self._jobs.update_one(
                {"_id": job.job_id, "epoch": job.epoch, "status": JobStatus.RUNNING.value}, change
            )
        if result.matched_count == 0:
            raise LeaseLostError("Another worker has taken the job over")


def _lease(owner: str, lease_s: float) -> Document:
    expires_at = {"$add": ["$$NOW", int(lease_s * 1000)]}
    return {"owner": {"$literal": owner}, "expires_at": expires_at}


def _literal(document: Document) -> Document:
    """Keep values from outside, which may begin with a dollar sign, from being read as expressions."""
    return {key: {"$literal": value} for key, value in document.items()}


def _rung(job: Job) -> Document:
    """Leave a waiting job to the sweeper, which rings for it as soon as it is due."""
    return {"published_at": None} if job.status is JobStatus.WAITING else {}
