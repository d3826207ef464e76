"""MongoJobStore: jobs in `integrations.hubspot.jobs`; who may write is decided by MongoDB's clock alone."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.errors import JobNotFoundError, LeaseLostError
from worker.interfaces import JobQuery, OpenJobs
from worker.jobs import Job, JobKind, JobStatus
from worker.mongo.connection import Document, MongoDatabase, from_now, translated_errors
from worker.mongo.job_documents import (
    COLLECTION,
    FINISHED,
    REMOVED,
    children_in,
    from_document,
    new_document,
    state_of,
)
from worker.mongo.job_families import HIDE, JobFamilies, insert_missing, unchanged
from worker.mongo.job_lists import LIST_INDEX, count_open, find_newest
from worker.pages import ExportType

_OPEN = [JobStatus.QUEUED.value, JobStatus.RUNNING.value, JobStatus.WAITING.value]
_UNFINISHED = {"is_expanded": None, "status": {"$in": _OPEN}}  # a sync with children has nothing to do itself
_MAY_END = {"$or": [{"parent_id": None}, {"receipt": None}]}  # a child gets its end from its sync
_HAS_LAPSED = {"$lt": ["$lease.expires_at", "$$NOW"]}  # no lease at all compares as lower, so it has lapsed as well
_IS_DUE = {"$lte": ["$resume_at", "$$NOW"]}
_IS_WHOLE: Document = {"kind": JobKind.EXPORT.value, "receipt.complete": True}
# An index that is sparse instead of partial is of no use beside `$expr`, to which a field that is missing is null.
_IS_LEASED: Document = {"lease.expires_at": {"$exists": True}}
_IS_UNFOLLOWED: Document = {"unfollowed_since": {"$exists": True}}
_NOT_RUNG_SINCE_LAPSE = {"$lt": ["$published_at", "$lease.expires_at"]}
_IS_RUNNING = {"$eq": ["$status", JobStatus.RUNNING.value]}
_CAN_BE_TAKEN = {"$and": [_HAS_LAPSED, _IS_DUE]}
_DUE_SINCE = {"$max": ["$updated_at", "$resume_at", "$lease.expires_at"]}  # what is missing does not count


class MongoJobStore:
    """Jobs. Every decision about leases is one atomic update, with the server's clock (`$$NOW`)."""

    def __init__(self, database: MongoDatabase) -> None:
        self._jobs = database[COLLECTION]
        self._families = JobFamilies(self._jobs)

    def ensure_indexes(self) -> None:
        """Create what the queries below need. Doing it again changes nothing."""
        with translated_errors():
            self._jobs.create_index(LIST_INDEX)
            self._jobs.create_index([("is_expanded", ASCENDING), ("status", ASCENDING), ("published_at", ASCENDING)])
            self._jobs.create_index(
                [("lease.expires_at", ASCENDING), ("status", ASCENDING)], partialFilterExpression=_IS_LEASED
            )
            self._jobs.create_index([("status", ASCENDING), ("expires_at", ASCENDING), ("updated_at", ASCENDING)])
            self._jobs.create_index("expires_at", expireAfterSeconds=0)
            self._jobs.create_index("unfollowed_since", partialFilterExpression=_IS_UNFOLLOWED)
            self._jobs.create_index(
                [(name, ASCENDING) for name in ("account_id", "owner", "type", "hub_id")]
                + [("finished_at", DESCENDING)],
                partialFilterExpression=_IS_WHOLE,
            )
            self._jobs.create_index(
                [("account_id", ASCENDING), ("owner", ASCENDING), ("type", ASCENDING), ("finished_at", DESCENDING)],
                partialFilterExpression=_IS_WHOLE,
            )

    def add(self, job: Job) -> None:
        """Store a new job."""
        with translated_errors():
            try:
                self._jobs.insert_one(new_document(job))
            except DuplicateKeyError:
                return

    def add_all(self, jobs: Sequence[Job]) -> None:
        """Insert those that are not there yet, in one call."""
        with translated_errors():
            insert_missing(self._jobs, jobs)

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        """Look the ids up."""
        with translated_errors():
            found = self._jobs.find({"_id": {"$in": list(job_ids)}, "status": {"$in": _OPEN}}, {"_id": True})
            return {document["_id"] for document in found}

    def get(self, job_id: str, *, account_id: str) -> Job:
        """Read one job of one account."""
        with translated_errors():
            document = self._jobs.find_one({"_id": job_id, "account_id": account_id, "status": {"$ne": REMOVED}})
        if document is None:
            raise JobNotFoundError
        return from_document(document)

    def find(self, job_id: str) -> Job | None:
        """Read one job."""
        with translated_errors():
            document = self._jobs.find_one({"_id": job_id, "status": {"$ne": REMOVED}})
        return from_document(document) if document is not None else None

    def newest(self, wanted: JobQuery) -> list[Job]:
        """Read the list's index from a place on."""
        with translated_errors():
            return [from_document(document) for document in find_newest(self._jobs, wanted)]

    def states_of(self, job_ids: Collection[str]) -> Mapping[str, JobStatus]:
        """Look the ids up; no more than the status is read."""
        known = {"_id": {"$in": list(job_ids)}, "status": {"$in": [each.value for each in JobStatus]}}
        with translated_errors():
            found = self._jobs.find(known, {"status": True})
            return {document["_id"]: JobStatus(document["status"]) for document in found}

    def count_open(self, account_id: str, *, most: int) -> int:
        """Count along the list's index."""
        with translated_errors():
            return count_open(self._jobs, account_id, most=most)

    def change(self, before: Job, after: Job) -> bool:
        """Write a job that nobody holds, unless it is not as `before` any more."""
        now = {"published_at": True} | ({"unfollowed_since": True} if _has_to_be_followed(after) else {})
        state = {**state_of(after), "cancel_requested": after.cancel_requested}
        with translated_errors():
            return self._jobs.update_one(unchanged(before), {"$set": state, "$currentDate": now}).matched_count > 0

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        """Read children by their ids, which are known."""
        return self._families.children_of(syncs)

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children, then that they are there."""
        return self._families.expand(sync, children)

    def follow(self, sync_id: str) -> Job | None:
        """Store what the children make of their sync."""
        return self._families.follow(sync_id)

    def reopen(self, sync: Job) -> None:
        """Mark a sync as one that goes on."""
        self._families.reopen(sync)

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        """Write the same end to all of a finished sync."""
        return self._families.end(sync, at=at)

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Take what is marked, each by one atomic update."""
        since = {**_IS_UNFOLLOWED, "$expr": {"$lt": ["$unfollowed_since", from_now(-quiet_s)]}}
        mark = [{"$set": {"unfollowed_since": "$$NOW"}}]
        with translated_errors():
            found = list(itertools.islice(iter(lambda: self._jobs.find_one_and_update(since, mark), None), limit))
        return [from_document(document) for document in found if document["status"] != REMOVED]

    def request_cancel(self, job: Job) -> bool:
        """Raise the flag that the holder sees at its next checkpoint."""
        held = {"_id": job.job_id, "status": JobStatus.RUNNING.value, "lease": {"$ne": None}}
        with translated_errors():
            return self._jobs.update_one(held, {"$set": {"cancel_requested": True}}).matched_count > 0

    def start_removal(self, job: Job) -> bool:
        """Put the status in place that hides the job, then its children."""
        with translated_errors():
            if self._jobs.update_one(unchanged(job), HIDE).matched_count == 0:
                return False
        self._families.hide(job.children)
        return True

    def finish_removal(self, job_id: str) -> None:
        """Delete the hidden document."""
        with translated_errors():
            self._jobs.delete_one({"_id": job_id, "status": REMOVED})

    def take_unsettled(self, *, quiet_s: float, limit: int) -> tuple[list[str], list[Job]]:
        """Take what a process that died in the middle has left, each by one atomic update."""
        last_seen = {"$max": ["$updated_at", "$tended_at"]}
        silent = {"$expr": {"$lt": [last_seen, from_now(-quiet_s)]}}
        with translated_errors():
            removed = self._take_to_tend({"status": REMOVED, **silent}, limit)
            self._families.hide(children := [each for document in removed for each in children_in(document)])
            endless = self._take_to_tend({"status": {"$in": FINISHED}, "expires_at": None, **_MAY_END, **silent}, limit)
        gone = [*children, *(document["_id"] for document in removed)]
        return gone, [from_document(document) for document in endless]

    def _take_to_tend(self, wanted: Document, limit: int) -> list[Document]:
        mark = [{"$set": {"tended_at": "$$NOW"}}]
        return list(itertools.islice(iter(lambda: self._jobs.find_one_and_update(wanted, mark), None), limit))

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        """Read the first entry of an index that holds complete exports only."""
        of_portal = {"hub_id": {"$in": [hub_id, None]}} if hub_id is not None else {}
        wanted = {"account_id": account_id, "owner": owner, "type": export_type.value, **of_portal, **_IS_WHOLE}
        with translated_errors():
            document = self._jobs.find_one(wanted, sort=[("finished_at", DESCENDING)])
        return from_document(document) if document is not None else None

    def settle_portal(self, job_id: str, hub_id: int) -> int | None:
        """Write it in one atomic update, which leaves what is there."""
        first = [{"$set": {"hub_id": {"$ifNull": ["$hub_id", hub_id]}}}]
        with translated_errors():
            document = self._jobs.find_one_and_update(
                {"_id": job_id}, first, {"hub_id": True}, return_document=ReturnDocument.AFTER
            )
        return document["hub_id"] if document is not None else None

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a due job. Taking over from a holder whose lease has lapsed counts as a resume."""
        due = {"_id": job_id, "sync": None, "status": {"$in": _OPEN}, "$expr": _CAN_BE_TAKEN}
        taken_over = {"$cond": [{"$gt": ["$lease", None]}, 1, 0]}
        change = {
            "status": JobStatus.RUNNING.value,
            "epoch": {"$add": ["$epoch", 1]},
            "lease": {"owner": {"$literal": worker}, "expires_at": from_now(lease_s)},
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
            if document is None:
                return None
            job = from_document(document)
            self._families.note_start(job, at=at)
        return job

    def withdraw_claim(self, job_id: str, *, worker: str) -> bool:
        """Remove the lease that has this owner."""
        claimed = {"_id": job_id, "lease.owner": worker}
        with translated_errors():
            freed = self._jobs.update_one(claimed, {"$set": {"lease": None, "published_at": None}})
        return freed.matched_count > 0

    def renew(self, job: Job, *, lease_s: float) -> None:
        """Move the end of the lease."""
        self._write(job, [{"$set": {"lease.expires_at": from_now(lease_s)}}])

    def checkpoint(self, job: Job, *, lease_s: float) -> bool:
        """Store the job's state under its lease."""
        change = {**_literal(state_of(job)), "lease.expires_at": from_now(lease_s)}
        return bool(self._write(job, [{"$set": change}])["cancel_requested"])

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        """Give the lease up in the write that stores the state. Who has to wait is left to the sweeper's ring."""
        due = None if resume_in_s is None else from_now(resume_in_s)
        change = {
            **_literal(state_of(job)),
            "lease": None,
            "resume_at": {"$cond": ["$cancel_requested", None, due]},
            "published_at": "$$NOW" if resume_in_s is None else None,
        }
        if _has_to_be_followed(job):
            change["unfollowed_since"] = "$$NOW"
        self._write(job, [{"$set": change}])

    def drop(self, job: Job) -> None:
        """Give the lease up and leave the rest as the last checkpoint has it, but for one try more."""
        tries = {"$add": ["$attempts", 1]}
        self._write(job, [{"$set": {"lease": None, "published_at": None, "attempts": tries}}])

    def mark_unpublished(self, jobs: Sequence[Job]) -> None:
        """Have the next sweep take these jobs."""
        with translated_errors():
            self._jobs.update_many({"_id": {"$in": [job.job_id for job in jobs]}}, {"$set": {"published_at": None}})

    def wake(self, account_id: str) -> int:
        """Have the account's waiting jobs go on with the next sweep, and return how many they are."""
        waiting = {"account_id": account_id, "status": JobStatus.WAITING.value, "lease": None}
        with translated_errors():
            woken = self._jobs.update_many(waiting, [{"$set": {"resume_at": "$$NOW", "published_at": None}}])
        return woken.matched_count

    def count_due(self) -> int:
        """Count what is open, due, and not held."""
        with translated_errors():
            return self._jobs.count_documents({**_UNFINISHED, "$expr": _CAN_BE_TAKEN})

    def open_jobs(self) -> list[OpenJobs]:
        """Count by an index on the status: finished jobs, which are many, are not looked at."""
        is_due = {"$and": [{"$ne": ["$is_expanded", True]}, _CAN_BE_TAKEN]}
        counted = {
            "_id": {"status": "$status", "type": "$type", "kind": "$kind"},
            "jobs": {"$sum": 1},
            "due": {"$sum": {"$cond": [is_due, 1, 0]}},
            "due_for_s": {"$max": {"$cond": [is_due, _seconds_since(_DUE_SINCE), None]}},
            "running_for_s": {"$max": {"$cond": [_IS_RUNNING, _seconds_since("$started_at"), None]}},
            "quiet_for_s": {"$max": {"$cond": [_IS_RUNNING, _seconds_since("$updated_at"), None]}},
        }
        with translated_errors():
            groups = list(self._jobs.aggregate([{"$match": {"status": {"$in": _OPEN}}}, {"$group": counted}]))
        return [OpenJobs(**group.pop("_id"), **group) for group in groups]

    def take_unpublished(self, *, quiet_s: float | None, limit: int) -> list[Job]:
        """Take due jobs one by one, each by one atomic update, so that two sweepers never take the same."""
        with translated_errors():
            return list(itertools.islice(iter(lambda: self._take_one(quiet_s), None), limit))

    def _take_one(self, quiet_s: float | None) -> Job | None:
        is_silent = _was_not_rung_for(quiet_s)
        silent = {**_UNFINISHED, "$expr": {"$and": [is_silent, _CAN_BE_TAKEN]}}
        lapsed = {
            **_IS_LEASED,
            "status": JobStatus.RUNNING.value,
            "$expr": {"$and": [_HAS_LAPSED, _NOT_RUNG_SINCE_LAPSE]},
        }
        document = self._ring_for(silent, "published_at") or self._ring_for(lapsed, "lease.expires_at")
        return from_document(document) if document is not None else None

    def _ring_for(self, wanted: Document, oldest_by: str) -> Document | None:
        return self._jobs.find_one_and_update(
            wanted,
            [{"$set": {"published_at": "$$NOW"}}],
            sort=[(oldest_by, ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )

    def _write(self, job: Job, change: list[Document]) -> Document:
        held = {"_id": job.job_id, "epoch": job.epoch, "status": JobStatus.RUNNING.value, "lease": {"$ne": None}}
        with translated_errors():
            written = self._jobs.find_one_and_update(
                held,
                change,
                {"cancel_requested": True},
                return_document=ReturnDocument.AFTER,
            )
        if written is None:
            raise LeaseLostError("Another worker has taken the job over")
        return written


def _has_to_be_followed(job: Job) -> bool:
    return job.parent_id is not None and job.status.is_terminal


def _was_not_rung_for(quiet_s: float | None) -> Document:
    """Hold for a job that was never rung for, or long ago, or in a future that only a wrong clock can have noted."""
    if quiet_s is None:
        return {"$lte": ["$published_at", None]}
    return {"$or": [{"$lt": ["$published_at", from_now(-quiet_s)]}, {"$gt": ["$published_at", from_now(quiet_s)]}]}


def _seconds_since(instant: object) -> Document:
    return {"$divide": [{"$subtract": ["$$NOW", instant]}, 1000]}


def _literal(document: Document) -> Document:
    """Keep values from outside, which may begin with a dollar sign, from being read as expressions."""
    return {key: {"$literal": value} for key, value in document.items()}
