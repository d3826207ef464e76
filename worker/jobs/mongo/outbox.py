"""MongoJobOutbox: JobOutbox, by indexes of what is to be published and of what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import ASCENDING

from worker.jobs.job import Job
from worker.jobs.mongo.collection import JobCollection
from worker.jobs.mongo.timing import HAS_DUE, HAS_QUEUED, IS_HELD, IS_LEASED, LINE_OF_KIND, OPEN, TIMED
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.turn import DueJob
from worker.mongo.database import Document, from_now, translated_errors

# For so long the other jobs of an account that has all of its slots are left alone: a holder publishes for them.
_FULL_S = 60.0
_BY_ID = "_id_"
_NAMED = {"account_id": True, "line": True, "kind": True, "status": True}
_IS_DUE: Document = {**HAS_DUE, "$expr": {"$lte": ["$due_at", "$$NOW"]}}
_PUBLISHED: list[Document] = [{"$set": {"published_at": "$$NOW"}}, TIMED]


class MongoJobOutbox(JobCollection):
    """Marks jobs as published, and finds those that need a message."""

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:
        self._mark_published([job.job_id for job in jobs], at=None)

    def mark_published(self, job: Job) -> None:
        self._mark_published([job.job_id], at="$$NOW")

    def _mark_published(self, job_ids: Sequence[str], *, at: str | None) -> None:
        with translated_errors():
            self._jobs.update_many({"_id": {"$in": list(job_ids)}}, [{"$set": {"published_at": at}}, TIMED])

    def take_due(self, *, limit: int) -> list[DueJob]:
        """Read the start of the index, and mark the jobs that are still due: two calls, two reads a job."""
        with translated_errors():
            found = list(self._jobs.find(_IS_DUE, _NAMED).sort("due_at", ASCENDING).limit(limit))
            known = self._known(found)
            self._update([each.job_id for each in known], _IS_DUE, _PUBLISHED)
        return known

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        """Read the start of each line; jobs of accounts for which somebody will publish are only put off."""
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
        first = {"line": line.value, **HAS_QUEUED}
        waited = {"_id": False, "s": {"$divide": [{"$subtract": ["$$NOW", "$queued_at"]}, 1000]}}
        with translated_errors():
            document = self._jobs.find_one(first, waited, sort=[("queued_at", ASCENDING)])
        return document["s"] if document is not None else None

    def adopt(self) -> int:
        older = {"status": {"$in": OPEN}, "line": None}
        with translated_errors():
            return self._jobs.update_many(older, [{"$set": {"line": LINE_OF_KIND}}, TIMED]).modified_count

    def adopt_all(self) -> None:
        self.adopt()
        self._adopt_unmarked()
        self._adopt_interrupted()

    def _adopt_unmarked(self) -> None:
        """Compute the instants of open jobs that an older version has retried. It reads all open jobs."""
        unmarked = {"status": {"$in": OPEN}, "is_expanded": {"$ne": True}, "due_at": None, "queued_at": None}
        with translated_errors():
            self._jobs.update_many(unmarked, [TIMED])

    def _adopt_interrupted(self) -> None:
        """Mark what an older version has left half done. It reads all finished jobs without an expiry."""
        with translated_errors():
            older = {"expires_at": None, "status": {"$nin": OPEN}, "unsettled_since": None}
            self._jobs.update_many(older, [TIMED])

    def _known(self, found: Sequence[Document]) -> list[DueJob]:
        """Parse documents; one that cannot be parsed is put off."""
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
        """Return the accounts that hold as many leases as they may, by an index of leases."""
        if not accounts or most == 0:
            return set()
        held = {"account_id": {"$in": list(accounts)}, "line": line.value, **IS_LEASED, "$expr": IS_HELD}
        counted = [{"$match": held}, {"$group": {"_id": "$account_id", "held": {"$sum": 1}}}]
        return {each["_id"] for each in self._jobs.aggregate(counted) if each["held"] >= most}

    def _begun_accounts(self, accounts: set[str], line: Line, *, since: datetime) -> set[str]:
        """Return the accounts that have claimed a job since then, from an index alone."""
        claimed = {"account_id": {"$in": list(accounts)}, "line": line.value, "claimed_at": {"$gt": since}}
        grouped: list[Document] = [{"$match": claimed}, {"$group": {"_id": "$account_id"}}]
        return {each["_id"] for each in self._jobs.aggregate(grouped)} if accounts else set()


def _due_job(document: Document) -> DueJob:
    account_id = document["account_id"]
    if not isinstance(account_id, str):
        raise TypeError("account_id: must be a string")
    is_over = JobStatus(document["status"]).is_terminal
    # A finished job of an older version may have no line; open ones are adopted, and then have one.
    line = JobKind(document["kind"]).line if is_over else Line(document["line"])
    return DueJob(job_id=document["_id"], account_id=account_id, line=line)
