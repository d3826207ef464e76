"""JobFamilies: a sync and its children, documents that change together, each time in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pymongo.client_session import ClientSession

from worker.jobs import Job, JobStatus
from worker.mongo.connection import Document, MongoCollection, in_transaction, translated_errors
from worker.mongo.job_documents import REMOVED, from_document, state_of, to_document
from worker.syncs import follow

_NOT_STARTED = [JobStatus.QUEUED.value, JobStatus.WAITING.value]


class JobFamilies:
    """Keeps what is stored of a sync true: whoever changes a child has the sync follow in the same transaction.

    So there is no moment, whatever dies, at which a child has ended and its sync does not know, and no child that has
    no sync. A job without relatives is changed by a single write, without a transaction.
    """

    def __init__(self, jobs: MongoCollection) -> None:
        self._jobs = jobs

    def children_of(self, syncs: Sequence[Job], session: ClientSession | None = None) -> list[Job]:
        """Read the children of these syncs."""
        ids = [each for sync in syncs for each in sync.children]
        return [from_document(document) for document in self._jobs.find(_among(ids), session=session)] if ids else []

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children of a sync that has none yet; False when it has moved on."""
        documents = [{**to_document(child), "published_at": child.created_at} for child in children]

        def write(session: ClientSession) -> bool:
            taken = self._jobs.update_one(_unchanged(sync), {"$set": {"is_expanded": True}}, session=session)
            if taken.matched_count:
                self._jobs.insert_many(documents, session=session)
                self._follow(sync.job_id, session)
            return taken.matched_count > 0

        return in_transaction(self._jobs.database, write)

    def write(self, changes: Sequence[tuple[Job, Document]]) -> bool:
        """Change jobs that nobody holds and that are as they were read: all of them and what follows, or none."""
        (first, change), *others = changes
        if first.parent_id is None and not others:
            with translated_errors():
                return self._jobs.update_one(_unchanged(first), change).matched_count > 0
        try:
            in_transaction(self._jobs.database, lambda session: self._write_all(changes, session))
        except _MovedOnError:
            return False
        return True

    def follow_after(self, write: Callable[..., object], child: Job) -> None:
        """Do a write of a job, which takes a session; where it is a child, its sync follows."""
        parent_id = child.parent_id
        if parent_id is None:
            write()
            return

        def write_both(session: ClientSession) -> None:
            write(session=session)
            self._follow(parent_id, session)

        in_transaction(self._jobs.database, write_both)

    def note_start(self, child: Job, *, at: datetime) -> None:
        """Have a sync run when one of its children does; mostly it is known to.

        No transaction is needed: one that saw the child before it ran is repeated, or finished before this is written.
        """
        if child.parent_id is None:
            return
        change = {
            "status": JobStatus.RUNNING.value,
            "started_at": {"$ifNull": ["$started_at", at]},
            "updated_at": at,
            "resume_at": None,
            "reason": None,
        }
        self._jobs.update_one({"_id": child.parent_id, "status": {"$in": _NOT_STARTED}}, [{"$set": change}])

    def end(self, sync: Job, *, at: datetime) -> bool:
        """Have all of a finished sync removed at the same instant; False when it has moved on, or has its end."""
        finished = {
            "_id": sync.job_id,
            "status": sync.status.value,
            "finished_at": sync.finished_at,
            "expires_at": None,
        }
        its = {"$set": {"expires_at": at, "deliver_at": sync.first_delivery_at}}
        theirs = {"$set": {"expires_at": at, "pages_expire_at": at}}

        def write(session: ClientSession) -> bool:
            ended = self._jobs.update_one(finished, its, session=session)
            if ended.matched_count:
                self._jobs.update_many(_among(sync.children), theirs, session=session)
            return ended.matched_count > 0

        return in_transaction(self._jobs.database, write)

    def _write_all(self, changes: Sequence[tuple[Job, Document]], session: ClientSession) -> None:
        for job, change in changes:
            if self._jobs.update_one(_unchanged(job), change, session=session).matched_count == 0:
                raise _MovedOnError
        for parent_id in {job.parent_id for job, _ in changes if job.parent_id is not None}:
            self._follow(parent_id, session)

    def _follow(self, sync_id: str, session: ClientSession) -> None:
        """Store what a sync is now that its children are what they are.

        The document is written even where that is what it was: of two children that change at the same moment one has
        to see the other, and only a write of the same document has MongoDB repeat one of their transactions.
        """
        document = self._jobs.find_one({"_id": sync_id, "status": {"$ne": REMOVED}}, session=session)
        if document is None:
            return
        sync = from_document(document)
        change = {"$set": state_of(follow(sync, self.children_of([sync], session))), "$inc": {"revision": 1}}
        self._jobs.update_one({"_id": sync_id}, change, session=session)


class _MovedOnError(Exception):
    """A job is not as it was read, so nothing of what belongs together is written."""


def _unchanged(job: Job) -> Document:
    """Find a free job that is as it was read. What a sync with children is, its children say, each for itself."""
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


def _among(ids: Sequence[str]) -> Document:
    return {"_id": {"$in": list(ids)}, "status": {"$ne": REMOVED}}
