"""JobTurns: which job an account's turn claims, and which jobs have no message, by MongoDB's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pymongo import ASCENDING, ReturnDocument
from pymongo import timeout as time_limit
from pymongo.errors import OperationFailure

from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.reading import JobReader
from worker.jobs.mongo.timing import HAS_DUE, HAS_QUEUED, HAS_READY, IS_HELD, IS_LEASED, LINE_OF_KIND, OPEN, TIMED
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.turn import AccountTurn, DueJob
from worker.mongo.availability import is_not_now
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors

_ASK_S = 1.0  # for the present instant; a message can do without one
# For so long the other jobs of an account that has all of its slots are left alone: a holder publishes for them.
_FULL_S = 60.0
_MOST_SPOILED = 100  # unreadable jobs in a row, ahead of one that can be read
_BY_ID = "_id_"
_NAMED = {"account_id": True, "line": True, "kind": True, "status": True}
_IS_READY = {"$lte": ["$ready_at", "$$NOW"]}
_IS_DUE: Document = {**HAS_DUE, "$expr": {"$lte": ["$due_at", "$$NOW"]}}
_PUBLISHED: list[Document] = [{"$set": {"published_at": "$$NOW"}}, TIMED]
_MAY_BE_CLAIMED = {
    "$and": [_IS_READY, {"$lt": ["$lease.expires_at", "$$NOW"]}, {"$lte": ["$resume_at", "$$NOW"]}]
}  # the last two for the sake of versions that write no `ready_at`; what is missing compares as lower


class JobTurns:
    """The part of the job store that decides which job is next."""

    def __init__(self, database: MongoDatabase, reader: JobReader) -> None:
        self._database = database
        self._jobs = database[COLLECTION]
        self._reader = reader

    def now(self) -> datetime:
        """Ask the primary for its time."""
        with translated_errors(), time_limit(_ASK_S):
            theirs: datetime = self._database.command("hello")["localTime"]
        return theirs.replace(tzinfo=UTC)

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        """Look for a job claimed since then, and count those that are held: one call, two indexes, `most` + 1 jobs."""
        own = of_turn(turn)
        held = _counted({**own, **IS_LEASED, "$expr": IS_HELD}, most=most, as_="held") if most else []
        if turn.as_of is None:
            asked = held
        else:
            asked = _counted({**own, "claimed_at": {"$gt": turn.as_of}}, most=1, as_="begun")
            asked += [{"$unionWith": {"coll": COLLECTION, "pipeline": held}}] if held else []
        with translated_errors():
            found = {name: n for each in self._jobs.aggregate(asked) for name, n in each.items()} if asked else {}
        return "begun" not in found and (most == 0 or found.get("held", 0) < most)

    def claim(self, turn: AccountTurn, change: Document) -> Job | None:
        """Claim the job that has been ready for longest, by one atomic update."""
        ready = {**of_turn(turn), **_ready_by(turn), "status": {"$in": OPEN}, "$expr": _MAY_BE_CLAIMED}
        order = [("ready_at", ASCENDING)]
        for _ in range(_MOST_SPOILED):
            try:
                document = self._jobs.find_one_and_update(
                    ready, [{"$set": change}, TIMED], sort=order, return_document=ReturnDocument.AFTER
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

    def next_due(self, account_id: str, line: Line) -> Job | None:
        """Read the job that has been ready for longest."""
        ready = {
            **of_turn(AccountTurn(account_id=account_id, line=line)),
            **HAS_READY,
            "status": {"$in": OPEN},
            "$expr": _MAY_BE_CLAIMED,
        }
        with translated_errors():
            for _ in range(_MOST_SPOILED):
                document = self._jobs.find_one(ready, sort=[("ready_at", ASCENDING)])
                if document is None:
                    return None
                if (job := self._reader.take(document)) is not None:
                    return job
        return None

    def take_due(self, *, limit: int) -> list[DueJob]:
        """Read a portion of the index, and mark the jobs that are still due: two calls, two reads a job."""
        with translated_errors():
            found = list(self._jobs.find(_IS_DUE, _NAMED).sort("due_at", ASCENDING).limit(limit))
            known = self._known(found)
            self._update([each.job_id for each in known], _IS_DUE, _PUBLISHED)
        return known

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        """Read a portion of each line; what belongs to accounts that somebody goes on with is only put off."""
        taken: list[DueJob] = []
        with translated_errors():
            for line, instant in before.items():
                lost = {"line": line.value, **HAS_QUEUED, "$and": [{"queued_at": {"$lt": instant}}]}
                found = list(self._jobs.find(lost, _NAMED).sort("queued_at", ASCENDING).limit(limit))
                known = self._known(found)
                accounts = {each.account_id for each in known}
                full = self._full_accounts(accounts, line, most=most)
                begun = self._begun_accounts(accounts - full, line, since=instant)
                idle = [each for each in known if each.account_id not in full | begun]
                self._update([each.job_id for each in idle], lost, _PUBLISHED)
                for waiting, later_s in ((full, _FULL_S), (begun, 0.0)):
                    ids = [each.job_id for each in known if each.account_id in waiting]
                    self._update(ids, lost, [{"$set": {"queued_at": from_now(later_s)}}])
                taken += idle
        return taken

    def oldest_queued_s(self, line: Line) -> float | None:
        """Read the first entry of an index."""
        first = {"line": line.value, **HAS_QUEUED}
        waited = {"_id": False, "s": {"$divide": [{"$subtract": ["$$NOW", "$queued_at"]}, 1000]}}
        with translated_errors():
            document = self._jobs.find_one(first, waited, sort=[("queued_at", ASCENDING)])
        return document["s"] if document is not None else None

    def adopt(self) -> int:
        """Add the fields that older versions leave out to open jobs."""
        older = {"status": {"$in": OPEN}, "line": None}
        with translated_errors():
            return self._jobs.update_many(older, [{"$set": {"line": LINE_OF_KIND}}, TIMED]).modified_count

    def adopt_unmarked(self) -> None:
        """Time the open jobs that such versions have opened again, as a retry does. It reads all open jobs."""
        unmarked = {"status": {"$in": OPEN}, "is_expanded": {"$ne": True}, "due_at": None, "queued_at": None}
        with translated_errors():
            self._jobs.update_many(unmarked, [TIMED])

    def adopt_unsettled(self) -> None:
        """Mark what such versions have left half done. It reads all jobs without an end."""
        with translated_errors():
            older = {"expires_at": None, "status": {"$nin": OPEN}, "unsettled_since": None}
            self._jobs.update_many(older, [TIMED])

    def _known(self, found: Sequence[Document]) -> list[DueJob]:
        """Return the keys of jobs; a job whose keys cannot be read is put off."""
        known = []
        for document in found:
            try:
                known.append(_due_job(document))
            except (KeyError, TypeError, ValueError) as error:
                self._reader.put_off(document["_id"], error)
        return known

    def _update(self, job_ids: Sequence[str], as_it_was: Document, change: list[Document]) -> None:
        if job_ids:
            self._jobs.update_many({"_id": {"$in": list(job_ids)}, **as_it_was}, change, hint=_BY_ID)

    def _full_accounts(self, accounts: set[str], line: Line, *, most: int) -> set[str]:
        """Find the accounts that hold as many jobs as they may, by an index of held jobs."""
        if not accounts or most == 0:
            return set()
        held = {"account_id": {"$in": list(accounts)}, "line": line.value, **IS_LEASED, "$expr": IS_HELD}
        counted = [{"$match": held}, {"$group": {"_id": "$account_id", "held": {"$sum": 1}}}]
        return {each["_id"] for each in self._jobs.aggregate(counted) if each["held"] >= most}

    def _begun_accounts(self, accounts: set[str], line: Line, *, since: datetime) -> set[str]:
        """Find the accounts that have claimed a job since then, in an index that holds all that is asked."""
        claimed = {"account_id": {"$in": list(accounts)}, "line": line.value, "claimed_at": {"$gt": since}}
        grouped: list[Document] = [{"$match": claimed}, {"$group": {"_id": "$account_id"}}]
        return {each["_id"] for each in self._jobs.aggregate(grouped)} if accounts else set()

    def _put_first_off(self, ready: Document, order: list[tuple[str, int]], error: OperationFailure) -> bool:
        first = self._jobs.find_one(ready, {"_id": True}, sort=order)
        if first is not None:
            self._reader.put_off(first["_id"], error)
        return first is not None


def of_turn(turn: AccountTurn) -> Document:
    """Find the jobs of a turn's account and line."""
    return {"account_id": turn.account_id, "line": turn.line.value}


def _counted(wanted: Document, *, most: int, as_: str) -> list[Document]:
    """Count jobs up to `most`; no document where there is none."""
    return [{"$match": wanted}, {"$limit": most}, {"$count": as_}]


def _ready_by(turn: AccountTurn) -> Document:
    return HAS_READY if turn.as_of is None else {"ready_at": {"$lte": turn.as_of}}


def _due_job(document: Document) -> DueJob:
    account_id = document["account_id"]
    if not isinstance(account_id, str):
        raise TypeError("account_id: must be a string")
    is_over = JobStatus(document["status"]).is_terminal
    # An older version may have stored and finished it, without a line; open jobs are adopted.
    line = JobKind(document["kind"]).line if is_over else Line(document["line"])
    return DueJob(job_id=document["_id"], account_id=account_id, line=line)
