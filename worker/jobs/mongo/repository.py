"""MongoJobRepository: JobRepository, JobCounts and JobHistory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from bson.errors import BSONError
from pymongo import DESCENDING, ReturnDocument

from worker.errors import JobNotFoundError
from worker.jobs.interfaces import JobQuery, OpenJobs
from worker.jobs.job import Job
from worker.jobs.mongo.collection import JobCollection, has_to_be_followed, unchanged
from worker.jobs.mongo.documents import COLLECTION, REMOVED, from_document, state_of
from worker.jobs.mongo.inserts import dated, insert_missing
from worker.jobs.mongo.lists import count_open, find_newest
from worker.jobs.mongo.open_jobs import count_by_state
from worker.jobs.mongo.selections import WITHOUT_SELECTION
from worker.jobs.mongo.timing import OPEN, TIMED, literal
from worker.jobs.status import JobKind, JobStatus
from worker.mongo.database import Document, insert_new, translated_errors
from worker.records.types import ExportType

IS_WHOLE: Document = {"kind": JobKind.EXPORT.value, "receipt.complete": True}
HAS_STORED: Document = {"stored_bytes": {"$gt": 0}}


class MongoJobRepository(JobCollection):
    """Reads, counts, inserts and changes jobs that nobody holds."""

    def add(self, job: Job) -> None:
        with translated_errors():
            insert_missing(self._jobs, [job])

    def add_all(self, jobs: Sequence[Job]) -> None:
        with translated_errors():
            insert_missing(self._jobs, jobs)

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:
        """Insert the jobs as they are, in one call: dated by the server (`TIMED`), each would be an upsert of its own.

        A document that BSON cannot hold makes the driver refuse the whole call: then all jobs are returned.
        """
        if not jobs:
            return ()
        with translated_errors():
            try:
                passed_over = insert_new(self._jobs, [dated(job, at=at) for job in jobs])
            except (BSONError, OverflowError):
                return [job.job_id for job in jobs]
        return [jobs[number].job_id for number, is_there in passed_over.items() if not is_there]

    def get(self, job_id: str, *, account_id: str) -> Job:
        with translated_errors():
            document = self._jobs.find_one({"_id": job_id, "account_id": account_id, "status": {"$ne": REMOVED}})
        if document is None:
            raise JobNotFoundError
        return from_document(document)

    def find(self, job_id: str) -> Job | None:
        with translated_errors():
            document = self._jobs.find_one({"_id": job_id, "status": {"$ne": REMOVED}})
        return from_document(document) if document is not None else None

    def newest(self, wanted: JobQuery) -> list[Job]:
        with translated_errors():
            return self._reader.read_all(find_newest(self._jobs, wanted))

    def states_of(self, job_ids: Collection[str]) -> Mapping[str, JobStatus]:
        known = {"_id": {"$in": list(job_ids)}, "status": {"$in": [each.value for each in JobStatus]}}
        with translated_errors():
            found = self._jobs.find(known, {"status": True})
            return {document["_id"]: JobStatus(document["status"]) for document in found}

    def change(self, before: Job, after: Job) -> bool:
        state = {
            **literal({**state_of(after), "cancel_requested": after.cancel_requested}),
            "published_at": "$$NOW",
            **({"unfollowed_since": "$$NOW"} if has_to_be_followed(after) else {}),
        }
        with translated_errors():
            return self._jobs.update_one(unchanged(before), [{"$set": state}, TIMED]).matched_count > 0

    def request_cancel(self, job: Job) -> bool:
        """Set the flag that the holder of the lease reads at its next checkpoint."""
        held = {"_id": job.job_id, "status": JobStatus.RUNNING.value, "lease": {"$ne": None}}
        with translated_errors():
            return self._jobs.update_one(held, {"$set": {"cancel_requested": True}}).matched_count > 0

    def record_portal(self, job_id: str, hub_id: int) -> int | None:
        first = [{"$set": {"hub_id": {"$ifNull": ["$hub_id", hub_id]}}}]
        with translated_errors():
            document = self._jobs.find_one_and_update(
                {"_id": job_id}, first, {"hub_id": True}, return_document=ReturnDocument.AFTER
            )
        return document["hub_id"] if document is not None else None

    def wake(self, account_id: str) -> int:
        """Let the account's waiting jobs continue with the next sweep, and return how many there are."""
        waiting = {"account_id": account_id, "status": JobStatus.WAITING.value, "lease": None}
        with translated_errors():
            woken = self._jobs.update_many(waiting, [{"$set": {"resume_at": "$$NOW", "published_at": None}}, TIMED])
        return woken.matched_count

    def stored_among(self, job_ids: Collection[str]) -> set[str]:
        with translated_errors():
            return {document["_id"] for document in self._jobs.find({"_id": {"$in": list(job_ids)}}, {"_id": True})}

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        with translated_errors():
            found = self._jobs.find({"_id": {"$in": list(job_ids)}, "status": {"$in": OPEN}}, {"_id": True})
            return {document["_id"] for document in found}

    def count_open(self, account_id: str, *, most: int) -> int:
        with translated_errors():
            return count_open(self._jobs, account_id, most=most)

    def stored_bytes_of(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """Add up what an index of its own holds; no document is read."""
        ended = {"account_id": {"$in": list(account_ids)}, **HAS_STORED}
        by_account = {"_id": "$account_id", "bytes": {"$sum": "$stored_bytes"}}
        with translated_errors():
            found = self._jobs.aggregate([{"$match": ended}, {"$group": by_account}])
            return {each["_id"]: each["bytes"] for each in found}

    def open_jobs(self) -> list[OpenJobs]:
        with translated_errors():
            return count_by_state(self._jobs)

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        """Read the first entry of an index that holds complete exports only."""
        wanted = {"type": export_type, **_complete(account_id, owner, hub_id)}
        with translated_errors():
            document = self._jobs.find_one(wanted, WITHOUT_SELECTION, sort=[("finished_at", DESCENDING)])
        return from_document(document) if document is not None else None

    def last_complete_of_each(
        self, account_id: str, owner: str, types: Collection[ExportType], *, hub_id: int | None = None
    ) -> Mapping[ExportType, Job]:
        """Read the first entry for each type, in one call."""
        own = _complete(account_id, owner, hub_id)
        pipelines: list[list[Document]] = [
            [
                {"$match": own | {"type": each}},
                {"$sort": {"finished_at": DESCENDING}},
                {"$limit": 1},
                {"$project": WITHOUT_SELECTION},
            ]
            for each in types
        ]
        first, *further = pipelines
        unions: list[Document] = [{"$unionWith": {"coll": COLLECTION, "pipeline": each}} for each in further]
        with translated_errors():
            found = self._reader.read_all(self._jobs.aggregate([*first, *unions]))
        return {job.records_type: job for job in found}


def _complete(account_id: str, owner: str, hub_id: int | None) -> Document:
    of_portal = {"hub_id": {"$in": [hub_id, None]}} if hub_id is not None else {}
    return {"account_id": account_id, "owner": owner, **of_portal, **IS_WHOLE, "request.archived": {"$ne": True}}
