"""JobFamilies: a sync and its children, documents that belong together and are written one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pymongo import ReturnDocument, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError

from worker.jobs.job import Job, child_id
from worker.jobs.mongo.documents import FINISHED, REMOVED, from_document, state_of, to_document
from worker.jobs.mongo.reading import JobReader
from worker.jobs.mongo.timing import TIMED, literal
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import follow
from worker.mongo.database import Document, MongoCollection, translated_errors
from worker.records.types import ExportType

_NOT_STARTED = [JobStatus.QUEUED.value, JobStatus.WAITING.value]
_DUPLICATE = 11000
_NEXT_REVISION = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}


class JobFamilies:
    """Keeps what is stored of a sync in step with its children, whoever dies between two writes.

    No transaction: one whose client is killed keeps its documents locked for a minute, and every sweep with them.
    Instead the write that ends a child marks it as unfollowed, and the mark goes with the end of its sync; whoever
    finds an old mark has the sync follow, twice as well as once, and takes it away. A sync is written only as it was
    read (`revision`), so that of two who follow at the same moment the one who has seen less begins anew.
    """

    def __init__(self, jobs: MongoCollection, reader: JobReader) -> None:
        self._jobs = jobs
        self._reader = reader

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        """Read the children of these syncs."""
        return self._reader.read_all(self._read([each for sync in syncs for each in sync.children]))

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children, then that they are there: one killed in between leaves a sync that is published again."""
        with translated_errors():
            are_all_new = insert_missing(self._jobs, children) == len(children)
            if not are_all_new and len(self._read([child.job_id for child in children])) < len(children):
                return False  # one of them is being removed: when it is gone, this may be done again
            expanded = [{"$set": {"is_expanded": True, "revision": _NEXT_REVISION}}, TIMED]
            return self._jobs.update_one(unchanged(sync), expanded).matched_count > 0

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        """Read a sync and its children at once, and store what it is now, where that is another status or its end.

        Whoever reads a sync has its children say the rest. Of children that end at the same moment the one that is read
        last sees the others ended, since each is read after its own end was stored.
        """
        with translated_errors():
            family = [sync_id, *(child_id(sync_id, each) for each in ExportType)]
            while document := (found := {each["_id"]: each for each in self._read(family)}).pop(sync_id, None):
                read = from_document(document)
                children = [found[each] for each in read.children if each in found]
                sync = follow(read, self._reader.read_all(children))
                is_known = sync.status is read.status and not sync.status.is_terminal
                if is_known and not is_swept and "unfollowed_since" not in document:
                    return sync
                if self._write_as_read(document, sync):
                    if is_swept or not sync.status.is_terminal:  # otherwise its end takes them away
                        self._unmark(children)
                    return sync
        return None

    def reopen(self, sync: Job) -> None:
        """Have a sync go on. It stays marked until it has followed its children: they are taken up one by one."""
        again = {
            "status": JobStatus.QUEUED.value,
            "finished_at": None,
            "expires_at": None,
            "deliver_at": None,
            "revision": _NEXT_REVISION,
            "unfollowed_since": "$$NOW",
        }
        change = [{"$set": again}, TIMED]
        with translated_errors():
            self._jobs.update_one({"_id": sync.job_id, "is_expanded": True, "status": {"$ne": REMOVED}}, change)

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        """Have a sync run when one of its children does; where it does already the update changes nothing."""
        change = {
            "status": JobStatus.RUNNING.value,
            "started_at": {"$ifNull": ["$started_at", at]},
            "updated_at": at,
            "resume_at": None,
            "reason": None,
            "revision": _NEXT_REVISION,
        }
        starts = {"$and": [{"$eq": ["$is_expanded", True]}, {"$in": ["$status", _NOT_STARTED]}]}
        noted = {"$replaceWith": {"$cond": [starts, {"$mergeObjects": ["$$ROOT", change]}, "$$ROOT"]}}
        with translated_errors():
            document = self._jobs.find_one_and_update(
                {"_id": child.parent_id, "status": {"$ne": REMOVED}}, [noted], return_document=ReturnDocument.AFTER
            )
        return from_document(document) if document is not None else None

    def end(self, sync: Job, *, at: datetime) -> bool:
        """Have all of a finished sync removed at the same instant, itself last: no child may be left behind.

        Together with its end it gets the instant of its first delivery; False when it has moved on, or has another. If
        it was opened again meanwhile, its children that have ended have an end until it ends itself.
        """
        finished = {
            "_id": sync.job_id,
            "status": sync.status.value,
            "finished_at": sync.finished_at,
            "expires_at": None,
        }
        end = {"expires_at": at, "deliver_at": sync.first_delivery_at, "revision": _NEXT_REVISION}
        theirs = {"_id": {"$in": list(sync.children)}, "status": {"$in": FINISHED}}
        with translated_errors():
            ends = {"expires_at": at, "pages_expire_at": at, "unfollowed_since": "$$REMOVE"}
            written = self._jobs.bulk_write(
                [UpdateMany(theirs, [{"$set": ends}, TIMED]), UpdateOne(finished, [{"$set": end}, TIMED])]
            )
            if written.matched_count > len(sync.children):
                return True
            return self._jobs.find_one(finished | {"expires_at": at}, {"_id": True}) is not None

    def hide(self, children: Sequence[str]) -> None:
        """Hide the children of a sync that was removed; one that is held finds out for itself that it is alone."""
        if not children:
            return
        free = {"_id": {"$in": list(children)}, "lease": None}
        with translated_errors():
            self._jobs.update_many(free, HIDE)

    def _read(self, ids: Sequence[str]) -> list[Document]:
        with translated_errors():
            return list(self._jobs.find({"_id": {"$in": list(ids)}, "status": {"$ne": REMOVED}})) if ids else []

    def _write_as_read(self, document: Document, sync: Job) -> bool:
        as_read = {"_id": document["_id"], "revision": document.get("revision"), "status": {"$ne": REMOVED}}
        state = {**literal(state_of(sync)), "revision": _NEXT_REVISION, "unfollowed_since": "$$REMOVE"}
        return self._jobs.update_one(as_read, [{"$set": state}, TIMED]).matched_count > 0

    def _unmark(self, children: Sequence[Document]) -> None:
        """Take the marks away that were seen; one that was set since then stays."""
        seen = [
            {"_id": child["_id"], "unfollowed_since": child["unfollowed_since"]}
            for child in children
            if "unfollowed_since" in child
        ]
        if seen:
            self._jobs.update_many({"$or": seen}, {"$unset": {"unfollowed_since": True}})


def insert_missing(jobs: MongoCollection, new: Sequence[Job]) -> int:
    """Insert jobs; those that exist stay as they are. They are dated by MongoDB's clock. Return how many were inserted.

    Many syncs at once, which a dispatch has dated by that clock already, are inserted as they are: four times as fast;
    of these it is not known.
    """
    if len(new) > 1 and all(job.kind is JobKind.SYNC for job in new):
        with _unless_there():
            jobs.insert_many([dated(sync, at=sync.created_at) for sync in new], ordered=False)
    elif new:
        with _unless_there():
            inserts = [UpdateOne({"_id": job.job_id}, _inserted(job), upsert=True) for job in new]
            return jobs.bulk_write(inserts, ordered=False).upserted_count
    return 0


@contextmanager
def _unless_there() -> Iterator[None]:
    """Pass over duplicates.

    The driver reports them and a write concern that was not met in one error: without the majority's word nothing is
    stored, whichever of the jobs were there.
    """
    try:
        yield
    except BulkWriteError as error:
        codes = {each["code"] for each in error.details["writeErrors"]}
        if codes != {_DUPLICATE} or error.details["writeConcernErrors"]:
            raise


def dated(job: Job, *, at: datetime) -> Document:
    """Return a new job's document as it is once it was published at an instant that MongoDB's clock has reached."""
    return {
        **to_document(job),
        "published_at": at,
        "ready_at": min(job.created_at, at),  # a group keeps the order that its jobs were asked for in
        "queued_at": at,
    }


def _inserted(job: Job) -> list[Document]:
    """Write a document if there is none. It counts as published, since the caller publishes next."""
    new = {**literal(to_document(job)), "published_at": "$$NOW", "ready_at": {"$min": [job.created_at, "$$NOW"]}}
    is_there = {"$gt": ["$epoch", None]}
    return [{"$replaceWith": {"$cond": [is_there, "$$ROOT", new]}}, TIMED]


HIDE: list[Document] = [{"$set": {"status": REMOVED, "expires_at": None}}, TIMED]
"""The change that makes a job unknown to everyone. TTL must not take it before its pages are gone."""


def unchanged(job: Job) -> Document:
    """Find a free job as it was read. What a sync with children is, its children say, each for itself."""
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
