"""Inserting jobs, so that one that exists stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from worker.jobs.job import Job
from worker.jobs.mongo.documents import to_document
from worker.jobs.mongo.timing import TIMED, literal
from worker.jobs.status import JobKind
from worker.mongo.database import Document, MongoCollection

_DUPLICATE = 11000


def insert_missing(jobs: MongoCollection, new: Sequence[Job]) -> int:
    """Insert jobs, dated by MongoDB's clock, and return how many did not exist.

    Many syncs at once, which a dispatch has dated by that clock already, are inserted as they are, four times as fast;
    of these the number is not known, and 0 is returned.
    """
    if len(new) > 1 and all(job.kind is JobKind.SYNC for job in new):
        with _unless_there():
            jobs.insert_many([dated(sync, at=sync.created_at) for sync in new], ordered=False)
    elif new:
        with _unless_there():
            inserts = [UpdateOne({"_id": job.job_id}, _inserted(job), upsert=True) for job in new]
            return jobs.bulk_write(inserts, ordered=False).upserted_count
    return 0


def dated(job: Job, *, at: datetime) -> Document:
    """Return the document of a new job that was published at an instant which MongoDB's clock has reached."""
    return {
        **to_document(job),
        "published_at": at,
        "ready_at": min(job.created_at, at),  # a group keeps the order in which its jobs were requested
        "queued_at": at,
    }


@contextmanager
def _unless_there() -> Iterator[None]:
    """Ignore duplicates.

    The driver reports them and an unmet write concern in one error. Without the majority's acknowledgement nothing
    counts as stored, whichever of the jobs existed.
    """
    try:
        yield
    except BulkWriteError as error:
        codes = {each["code"] for each in error.details["writeErrors"]}
        if codes != {_DUPLICATE} or error.details["writeConcernErrors"]:
            raise


def _inserted(job: Job) -> list[Document]:
    """Return the update that writes a document if there is none. It counts as published: the caller does that next."""
    new = {**literal(to_document(job)), "published_at": "$$NOW", "ready_at": {"$min": [job.created_at, "$$NOW"]}}
    is_there = {"$gt": ["$epoch", None]}
    return [{"$replaceWith": {"$cond": [is_there, "$$ROOT", new]}}, TIMED]
