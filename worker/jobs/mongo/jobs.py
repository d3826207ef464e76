"""MongoJobStore: jobs in `integrations.hubspot.jobs`; who may write is decided by MongoDB's clock alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from bson.errors import BSONError
from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import OperationFailure

from worker.errors import ErasureAskedError, JobNotFoundError, LeaseLostError
from worker.jobs.interfaces import JobQuery, OpenJobs
from worker.jobs.job import Job
from worker.jobs.mongo.children import HIDE, JobFamilies, dated, insert_missing, unchanged
from worker.jobs.mongo.documents import COLLECTION, REMOVED, children_in, from_document, state_of
from worker.jobs.mongo.lists import LIST_INDEX, count_open, find_newest
from worker.jobs.mongo.open_jobs import OPEN_JOBS_INDEX, count_by_state
from worker.jobs.mongo.reading import JobReader
from worker.jobs.mongo.timing import HAS_UNSETTLED, IS_LEASED, OLDER_INDEXES, OPEN, TIMED, TIMING_INDEXES, literal
from worker.jobs.mongo.turns import JobTurns, of_turn
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.turn import AccountTurn, DueJob
from worker.mongo.database import Document, MongoDatabase, from_now, insert_new, translated_errors
from worker.mongo.spoiled import SpoiledDocuments
from worker.records.types import CopyId, ExportType

_MAY_END = {"$or": [{"parent_id": None}, {"receipt": None}]}  # a child gets its end from its sync
_HAS_LAPSED = {"$lt": ["$lease.expires_at", "$$NOW"]}  # no lease at all compares as lower, so it has lapsed as well
_IS_DUE = {"$lte": ["$resume_at", "$$NOW"]}
_IS_WHOLE: Document = {"kind": JobKind.EXPORT.value, "receipt.complete": True}
# An index that is sparse instead of partial is of no use beside `$expr`, to which a field that is missing is null.
_IS_UNFOLLOWED: Document = {"unfollowed_since": {"$exists": True}}
_HAS_STORED: Document = {"stored_bytes": {"$gt": 0}}
_IS_UNMARKED = {"lease.is_marked": None}
_CAN_BE_TAKEN = {"$and": [_HAS_LAPSED, _IS_DUE]}
_NO_SUCH_INDEX = 27


class MongoJobStore:
    """Jobs. Every decision about leases is one atomic update, with the server's clock (`$$NOW`)."""

    def __init__(self, database: MongoDatabase, *, spoiled: SpoiledDocuments | None = None) -> None:
        self._jobs = database[COLLECTION]
        self._reader = JobReader(self._jobs, spoiled or SpoiledDocuments())
        self._turns = JobTurns(database, self._reader)
        self._families = JobFamilies(self._jobs, self._reader)

    def ensure_indexes(self) -> None:
        """Create what the queries below need. Doing it again changes nothing."""
        with translated_errors():
            self._jobs.create_index(LIST_INDEX)
            self._jobs.create_index(OPEN_JOBS_INDEX)
            for keys, kept in TIMING_INDEXES:
                self._jobs.create_index(keys, partialFilterExpression=kept)
            self._jobs.create_index("expires_at", expireAfterSeconds=0)
            self._jobs.create_index(
                [("account_id", ASCENDING), ("stored_bytes", ASCENDING)], partialFilterExpression=_HAS_STORED
            )
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

    def adopt_older(self) -> None:
        """Add the fields that older versions leave out, and remove those that only they use. Idempotent."""
        self.adopt_all()
        with translated_errors():
            for name in OLDER_INDEXES & self._jobs.index_information().keys():
                self._drop_index(name)

    def _drop_index(self, name: str) -> None:
        try:
            self._jobs.drop_index(name)
        except OperationFailure as error:
            if error.code != _NO_SUCH_INDEX:  # another worker was first
                raise

    def add(self, job: Job) -> None:
        """Store a new job."""
        with translated_errors():
            insert_missing(self._jobs, [job])

    def add_all(self, jobs: Sequence[Job]) -> None:
        """Insert those that are not there yet, in one call."""
        with translated_errors():
            insert_missing(self._jobs, jobs)

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:
        """Insert them as they are, in one call: computed by the server (`TIMED`), each would be an upsert of its own.

        A document that BSON has no form for stops the call: then all of them are returned.
        """
        if not jobs:
            return ()
        with translated_errors():
            try:
                passed_over = insert_new(self._jobs, [dated(job, at=at) for job in jobs])
            except (BSONError, OverflowError):
                return [job.job_id for job in jobs]
        return [jobs[number].job_id for number, is_there in passed_over.items() if not is_there]

    def stored_among(self, job_ids: Collection[str]) -> set[str]:
        """Look the ids up, in their index alone."""
        with translated_errors():
            return {document["_id"] for document in self._jobs.find({"_id": {"$in": list(job_ids)}}, {"_id": True})}

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        """Look the ids up."""
        with translated_errors():
            found = self._jobs.find({"_id": {"$in": list(job_ids)}, "status": {"$in": OPEN}}, {"_id": True})
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
            return self._reader.read_all(find_newest(self._jobs, wanted))

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

    def stored_bytes_of(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """Add up what an index of its own holds; no document is read."""
        ended = {"account_id": {"$in": list(account_ids)}, **_HAS_STORED}
        by_account = {"_id": "$account_id", "bytes": {"$sum": "$stored_bytes"}}
        with translated_errors():
            found = self._jobs.aggregate([{"$match": ended}, {"$group": by_account}])
            return {each["_id"]: each["bytes"] for each in found}

    def change(self, before: Job, after: Job) -> bool:
        """Write a job that nobody holds, unless it is not as `before` any more."""
        state = {
            **literal({**state_of(after), "cancel_requested": after.cancel_requested}),
            "published_at": "$$NOW",
            **({"unfollowed_since": "$$NOW"} if _has_to_be_followed(after) else {}),
        }
        with translated_errors():
            return self._jobs.update_one(unchanged(before), [{"$set": state}, TIMED]).matched_count > 0

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        """Read children by their ids, which are known."""
        return self._families.children_of(syncs)

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children, then that they are there."""
        return self._families.expand(sync, children)

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        """Write and read the sync in one atomic update; mostly it is known to run."""
        return self._families.note_start(child, at=at)

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        """Store what the children make of their sync."""
        return self._families.follow(sync_id, is_swept=is_swept)

    def reopen(self, sync: Job) -> None:
        """Mark a sync as one that goes on."""
        self._families.reopen(sync)

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        """Write the same end to all of a finished sync."""
        return self._families.end(sync, at=at)

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Take what is marked, each by one atomic update."""
        found = self._take({"unfollowed_since": {"$exists": True}}, "unfollowed_since", quiet_s=quiet_s, limit=limit)
        with translated_errors():
            return self._reader.take_all(document for document in found if document["status"] != REMOVED)

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
        found = self._take(HAS_UNSETTLED, "unsettled_since", quiet_s=quiet_s, limit=limit)
        removed = [document for document in found if document["status"] == REMOVED]
        children = [each for document in removed for each in self._children_in(document)]
        self._families.hide(children)
        with translated_errors():
            endless = self._reader.take_all(document for document in found if document["status"] != REMOVED)
        return [*children, *(document["_id"] for document in removed)], endless

    def _children_in(self, document: Document) -> list[str]:
        try:
            return children_in(document)
        except (KeyError, TypeError, ValueError) as error:
            self._reader.put_off(document["_id"], error)
            return []

    def _take(self, marked: Document, since: str, *, quiet_s: float, limit: int) -> list[Document]:
        """Take jobs that were marked `since` so long ago, and mark them again: two calls, two reads a job."""
        silent = {**marked, "$expr": {"$lt": [f"${since}", from_now(-quiet_s)]}}
        with translated_errors():
            found = list(self._jobs.find(silent).sort(since, ASCENDING).limit(limit))
            ids = [document["_id"] for document in found]
            if ids:
                self._jobs.update_many({"_id": {"$in": ids}, **silent}, [{"$set": {since: "$$NOW"}}], hint="_id_")
        return found

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        """Read the first entry of an index that holds complete exports only."""
        of_portal = {"hub_id": {"$in": [hub_id, None]}} if hub_id is not None else {}
        wanted = {"account_id": account_id, "owner": owner, "type": export_type.value, **of_portal, **_IS_WHOLE}
        with translated_errors():
            document = self._jobs.find_one(wanted, sort=[("finished_at", DESCENDING)])
        return from_document(document) if document is not None else None

    def last_complete_of_each(
        self, account_id: str, owner: str, types: Collection[ExportType], *, hub_id: int | None = None
    ) -> Mapping[ExportType, Job]:
        """Read the first entry for each type, in one call."""
        of_portal = {"hub_id": {"$in": [hub_id, None]}} if hub_id is not None else {}
        own = {"account_id": account_id, "owner": owner, **of_portal, **_IS_WHOLE}
        pipelines: list[list[Document]] = [
            [{"$match": own | {"type": each.value}}, {"$sort": {"finished_at": DESCENDING}}, {"$limit": 1}]
            for each in types
        ]
        first, *further = pipelines
        unions: list[Document] = [{"$unionWith": {"coll": COLLECTION, "pipeline": each}} for each in further]
        with translated_errors():
            found = self._reader.read_all(self._jobs.aggregate([*first, *unions]))
        return {job.records_type: job for job in found}

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
        due = {"_id": job_id, "sync": None, "status": {"$in": OPEN}, "$expr": _CAN_BE_TAKEN}
        change = [{"$set": _claim(worker, lease_s=lease_s, at=at)}, TIMED]
        with translated_errors():
            document = self._jobs.find_one_and_update(due, change, return_document=ReturnDocument.AFTER)
            return self._reader.take(document) if document is not None else None

    def now(self) -> datetime:
        """Ask the primary for its time."""
        return self._turns.now()

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        """Count by indexes."""
        return self._turns.has_turn(turn, most=most)

    def claim_next(self, turn: AccountTurn, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Claim as `claim` does, the first of the account's line."""
        with translated_errors():
            return self._turns.claim(turn, _claim(worker, lease_s=lease_s, at=at))

    def next_due(self, account_id: str, line: Line) -> Job | None:
        """Read the first of a line."""
        return self._turns.next_due(account_id, line)

    def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
        """Remove the lease that has this owner."""
        where = {"_id": claimed} if isinstance(claimed, str) else of_turn(claimed)
        free = [{"$set": {"lease": None, "published_at": None}}, TIMED]
        with translated_errors():
            return self._jobs.update_one({**where, "lease.owner": worker}, free).matched_count > 0

    def renew(self, job: Job, *, lease_s: float) -> None:
        """Move the end of the lease."""
        self._write(job, [{"$set": {"lease.expires_at": from_now(lease_s)}}, TIMED])

    def checkpoint(self, job: Job, *, lease_s: float, unless_marked: bool = False) -> bool:
        """Store the job's state under its lease."""
        change = {**literal(state_of(job)), "lease.expires_at": from_now(lease_s)}
        return bool(self._write(job, [{"$set": change}, TIMED], unless_marked=unless_marked)["cancel_requested"])

    def mark_leases(self, copy: CopyId) -> None:
        """Find them by an index; a job that is held all the while keeps its place in it."""
        running = {"status": JobStatus.RUNNING.value, "type": copy.export_type.value}
        held = {"account_id": copy.account_id, **running, **IS_LEASED}
        with translated_errors():
            self._jobs.update_many(held, {"$set": {"lease.is_marked": True}})

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        """Return the lease up in the write that stores the state. One that has to wait is left to the sweeper."""
        due = None if resume_in_s is None else from_now(resume_in_s)
        change = {
            **literal(state_of(job)),
            "lease": None,
            "resume_at": {"$cond": ["$cancel_requested", None, due]},
            "published_at": "$$NOW" if resume_in_s is None else None,
        }
        if _has_to_be_followed(job):
            change["unfollowed_since"] = "$$NOW"
        self._write(job, [{"$set": change}, TIMED])

    def drop(self, job: Job) -> None:
        """Return the lease up and leave the rest as the last checkpoint has it, but for one try more."""
        tries = {"$add": ["$attempts", 1]}
        self._write(job, [{"$set": {"lease": None, "published_at": None, "attempts": tries}}, TIMED])

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:
        """Have the next sweep take these jobs."""
        self._mark_published([job.job_id for job in jobs], at=None)

    def mark_published(self, job: Job) -> None:
        """Make the next sweeps leave this job alone."""
        self._mark_published([job.job_id], at="$$NOW")

    def _mark_published(self, job_ids: Sequence[str], *, at: str | None) -> None:
        with translated_errors():
            self._jobs.update_many({"_id": {"$in": list(job_ids)}}, [{"$set": {"published_at": at}}, TIMED])

    def wake(self, account_id: str) -> int:
        """Have the account's waiting jobs go on with the next sweep, and return how many they are."""
        waiting = {"account_id": account_id, "status": JobStatus.WAITING.value, "lease": None}
        with translated_errors():
            woken = self._jobs.update_many(waiting, [{"$set": {"resume_at": "$$NOW", "published_at": None}}, TIMED])
        return woken.matched_count

    def open_jobs(self) -> list[OpenJobs]:
        """Count along an index that holds all that is counted: no job is read."""
        with translated_errors():
            return count_by_state(self._jobs)

    def take_due(self, *, limit: int) -> list[DueJob]:
        """Take by an index of what is to be published."""
        return self._turns.take_due(limit=limit)

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        """Take by an index of what was published."""
        return self._turns.take_lost(before, most=most, limit=limit)

    def oldest_queued_s(self, line: Line) -> float | None:
        """Read the first entry of the same index."""
        return self._turns.oldest_queued_s(line)

    def adopt(self) -> int:
        """Find them by an index, next to each other."""
        return self._turns.adopt()

    def adopt_all(self) -> None:
        """Find them among all jobs that are open or have no end."""
        self._turns.adopt()
        self._turns.adopt_unmarked()
        self._turns.adopt_unsettled()

    def _write(self, job: Job, change: list[Document], *, unless_marked: bool = False) -> Document:
        held = {"_id": job.job_id, "epoch": job.epoch, "status": JobStatus.RUNNING.value, "lease": {"$ne": None}}
        with translated_errors():
            written = self._jobs.find_one_and_update(
                held | _IS_UNMARKED if unless_marked else held,
                change,
                {"cancel_requested": True},
                return_document=ReturnDocument.AFTER,
            )
            is_marked = written is None and unless_marked and self._jobs.find_one(held, {"_id": True}) is not None
        if is_marked:
            raise ErasureAskedError("Records of the account are being erased")
        if written is None:
            raise LeaseLostError("Another worker has taken the job over")
        return written


def _has_to_be_followed(job: Job) -> bool:
    return job.parent_id is not None and job.status.is_terminal


def _claim(worker: str, *, lease_s: float, at: datetime) -> Document:
    taken_over = {"$cond": [{"$gt": ["$lease", None]}, 1, 0]}
    return {
        "status": JobStatus.RUNNING.value,
        "epoch": {"$add": ["$epoch", 1]},
        # A document that is set by a pipeline is merged into what is there.
        "lease": {"owner": {"$literal": worker}, "expires_at": from_now(lease_s), "is_marked": "$$REMOVE"},
        "claimed_at": "$$NOW",
        "attempts": {"$max": ["$attempts", 1]},
        "resumes": {"$add": ["$resumes", taken_over]},
        "lapses": {"$add": ["$lapses", taken_over]},
        "started_at": {"$ifNull": ["$started_at", at]},
        "updated_at": at,
        "resume_at": None,
        "reason": None,
    }
