"""MongoJobLeases: JobLeases, each decision one atomic update by the server's clock (`$$NOW`)."""

from __future__ import annotations

from datetime import UTC, datetime

from pymongo import ASCENDING, ReturnDocument
from pymongo import timeout as time_limit
from pymongo.errors import OperationFailure

from worker.errors import ErasureAskedError, LeaseLostError
from worker.jobs.job import Job
from worker.jobs.mongo.collection import JobCollection, has_to_be_followed
from worker.jobs.mongo.documents import COLLECTION, state_of
from worker.jobs.mongo.selections import WITHOUT_SELECTION, selection_to_document
from worker.jobs.mongo.timing import HAS_READY, IS_HELD, IS_LEASED, OPEN, TIMED, literal
from worker.jobs.status import JobStatus, Line
from worker.jobs.turn import AccountTurn
from worker.mongo.availability import is_not_now
from worker.mongo.database import Document, from_now, translated_errors
from worker.records.types import CopyId

_ASK_S = 1.0  # for the present instant; a message can do without one
_MOST_SPOILED = 100  # unreadable jobs in a row, ahead of one that can be read
_HAS_LAPSED = {"$lt": ["$lease.expires_at", "$$NOW"]}  # a missing field compares as lower: without a lease it holds too
_IS_DUE = {"$lte": ["$resume_at", "$$NOW"]}
_CAN_BE_TAKEN = {"$and": [_HAS_LAPSED, _IS_DUE]}
# The last two for versions that write no `ready_at`; what is missing compares as lower.
_MAY_BE_CLAIMED = {"$and": [{"$lte": ["$ready_at", "$$NOW"]}, _HAS_LAPSED, _IS_DUE]}
_IS_UNMARKED = {"lease.is_marked": None}


class MongoJobLeases(JobCollection):
    """Claims, and what the holder of a lease writes."""

    def now(self) -> datetime:
        with translated_errors(), time_limit(_ASK_S):
            theirs: datetime = self._database.command("hello")["localTime"]
        return theirs.replace(tzinfo=UTC)

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a due job. Taking over from a holder whose lease has expired counts as a resume."""
        due = {"_id": job_id, "sync": None, "status": {"$in": OPEN}, "$expr": _CAN_BE_TAKEN}
        change = [{"$set": _claim(worker, lease_s=lease_s, at=at)}, TIMED]
        with translated_errors():
            document = self._jobs.find_one_and_update(due, change, return_document=ReturnDocument.AFTER)
            return self._reader.take(document) if document is not None else None

    def claim_next(self, turn: AccountTurn, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Claim the first job of the line, after putting off the documents before it that cannot be read."""
        change = [{"$set": _claim(worker, lease_s=lease_s, at=at)}, TIMED]
        ready = {**_of_turn(turn), **_ready_by(turn), "status": {"$in": OPEN}, "$expr": _MAY_BE_CLAIMED}
        order = [("ready_at", ASCENDING)]
        with translated_errors():
            for _ in range(_MOST_SPOILED):
                try:
                    document = self._jobs.find_one_and_update(
                        ready, change, sort=order, return_document=ReturnDocument.AFTER
                    )
                except OperationFailure as error:
                    if is_not_now(error) or not self._put_first_off(ready, order, error):
                        raise
                    continue
                if document is None:
                    return None
                if (job := self._reader.take(document)) is not None:
                    return job
        return None

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        """Look for a job claimed since then, and count the leased ones: one call, two indexes, `most` + 1 entries."""
        own = _of_turn(turn)
        held = _counted({**own, **IS_LEASED, "$expr": IS_HELD}, most=most, as_="held") if most else []
        if turn.as_of is None:
            asked = held
        else:
            asked = _counted({**own, "claimed_at": {"$gt": turn.as_of}}, most=1, as_="begun")
            asked += [{"$unionWith": {"coll": COLLECTION, "pipeline": held}}] if held else []
        with translated_errors():
            found = {name: n for each in self._jobs.aggregate(asked) for name, n in each.items()} if asked else {}
        return "begun" not in found and (most == 0 or found.get("held", 0) < most)

    def next_due(self, account_id: str, line: Line) -> Job | None:
        ready = {
            **_of_turn(AccountTurn(account_id=account_id, line=line)),
            **HAS_READY,
            "status": {"$in": OPEN},
            "$expr": _MAY_BE_CLAIMED,
        }
        with translated_errors():
            for _ in range(_MOST_SPOILED):
                document = self._jobs.find_one(ready, WITHOUT_SELECTION, sort=[("ready_at", ASCENDING)])
                if document is None:
                    return None
                if (job := self._reader.take(document)) is not None:
                    return job
        return None

    def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
        where = {"_id": claimed} if isinstance(claimed, str) else _of_turn(claimed)
        free = [{"$set": {"lease": None, "published_at": None}}, TIMED]
        with translated_errors():
            return self._jobs.update_one({**where, "lease.owner": worker}, free).matched_count > 0

    def renew(self, job: Job, *, lease_s: float) -> None:
        self._write(job, [{"$set": {"lease.expires_at": from_now(lease_s)}}, TIMED])

    def checkpoint(self, job: Job, *, lease_s: float, unless_marked: bool = False) -> bool:
        change = {**literal(state_of(job)), "lease.expires_at": from_now(lease_s)}
        return bool(self._write(job, [{"$set": change}, TIMED], unless_marked=unless_marked)["cancel_requested"])

    def record_selection(self, job: Job, *, lease_s: float) -> None:
        """Store the selection apart from the state: with each checkpoint it would be written again and again."""
        packed = selection_to_document(job.selection) if job.selection is not None else None
        state = literal({**state_of(job), "selection": packed})
        self._write(job, [{"$set": {**state, "lease.expires_at": from_now(lease_s)}}, TIMED])

    def mark_leases(self, copy: CopyId) -> None:
        """Mark by an index of leases, which stays as it is: a job that stays leased is not missed."""
        running = {"status": JobStatus.RUNNING.value, "type": copy.export_type}
        held = {"account_id": copy.account_id, **running, **IS_LEASED}
        with translated_errors():
            self._jobs.update_many(held, {"$set": {"lease.is_marked": True}})

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        """End the lease in the write that stores the state. A job that has to wait is left to the sweeper."""
        due = None if resume_in_s is None else from_now(resume_in_s)
        change = {
            **literal(state_of(job)),
            "lease": None,
            "resume_at": {"$cond": ["$cancel_requested", None, due]},
            "published_at": "$$NOW" if resume_in_s is None else None,
        }
        if has_to_be_followed(job):
            change["unfollowed_since"] = "$$NOW"
        self._write(job, [{"$set": change}, TIMED])

    def drop(self, job: Job) -> None:
        tries = {"$add": ["$attempts", 1]}
        self._write(job, [{"$set": {"lease": None, "published_at": None, "attempts": tries}}, TIMED])

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

    def _put_first_off(self, ready: Document, order: list[tuple[str, int]], error: OperationFailure) -> bool:
        first = self._jobs.find_one(ready, {"_id": True}, sort=order)
        if first is not None:
            self._reader.put_off(first["_id"], error)
        return first is not None


def _of_turn(turn: AccountTurn) -> Document:
    """Match the jobs of a turn's account and line."""
    return {"account_id": turn.account_id, "line": turn.line.value}


def _counted(wanted: Document, *, most: int, as_: str) -> list[Document]:
    """Return a pipeline that counts jobs up to `most`, and returns no document for none."""
    return [{"$match": wanted}, {"$limit": most}, {"$count": as_}]


def _ready_by(turn: AccountTurn) -> Document:
    return HAS_READY if turn.as_of is None else {"ready_at": {"$lte": turn.as_of}}


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
