"""Counts open jobs by one index that covers every field in question, so that no document is read."""

from __future__ import annotations

from pymongo import ASCENDING

from worker.jobs.interfaces import OpenJobs
from worker.jobs.mongo.timing import OPEN
from worker.jobs.status import JobStatus
from worker.mongo.database import Document, MongoCollection

OPEN_JOBS_INDEX = [
    (name, ASCENDING) for name in ("status", "line", "type", "kind", "ready_at", "due_at", "started_at", "updated_at")
]

_SINCE = {"$ifNull": ["$ready_at", "$due_at"]}  # the second: the lease has lapsed
_IS_DUE = {"$and": [{"$gt": [_SINCE, None]}, {"$lte": [_SINCE, "$$NOW"]}]}
_IS_RUNNING = {"$eq": ["$status", JobStatus.RUNNING.value]}


def count_by_state(jobs: MongoCollection) -> list[OpenJobs]:
    """Count open jobs by status, type and kind."""
    counted = {
        "_id": {"status": "$status", "type": "$type", "kind": "$kind"},
        "jobs": {"$sum": 1},
        "due": {"$sum": {"$cond": [_IS_DUE, 1, 0]}},
        "due_for_s": _most_seconds(_IS_DUE, _SINCE),
        "running_for_s": _most_seconds(_IS_RUNNING, "$started_at"),
        "quiet_for_s": _most_seconds(_IS_RUNNING, "$updated_at"),
    }
    groups = jobs.aggregate([{"$match": {"status": {"$in": OPEN}}}, {"$group": counted}])
    return [OpenJobs(**group.pop("_id"), **group) for group in groups]


def _most_seconds(which: Document, instant: object) -> Document:
    seconds = {"$divide": [{"$subtract": ["$$NOW", instant]}, 1000]}
    return {"$max": {"$cond": [which, seconds, None]}}
