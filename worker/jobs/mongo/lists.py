"""Lists and counts an account's jobs by one index, which has them in order for each status and type."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import OperationFailure

from worker.jobs.interfaces import JobQuery
from worker.jobs.job import JobSortKey
from worker.jobs.mongo.selections import WITHOUT_SELECTION
from worker.jobs.status import JOB_TYPES, JobStatus
from worker.mongo.database import Document, MongoCollection
from worker.records.registry import is_custom_name

_NEWEST = [("created_at", DESCENDING), ("_id", DESCENDING)]
LIST_INDEX = [("account_id", ASCENDING), ("status", ASCENDING), ("type", ASCENDING), *_NEWEST]

_OPEN = [status.value for status in JobStatus if not status.is_terminal]
_HAS_NOT_EXPIRED = {"$or": [{"$lte": ["$expires_at", None]}, {"$gt": ["$expires_at", "$$NOW"]}]}
_CUSTOM = ("p0", "p:")  # from the first name that a custom object can have to the first behind them
_BAD_VALUE = 2


def find_newest(jobs: MongoCollection, wanted: JobQuery) -> list[Document]:
    """Return the documents of a page; the server merges the statuses and types by the index, and sorts nothing.

    The hint is needed: the planner may choose another index that happens to end sooner in its trial.
    """
    types = [*(wanted.types or JOB_TYPES), *(_custom_types(jobs, wanted) if wanted.has_custom else ())]
    found = jobs.find(_query(wanted, types), WITHOUT_SELECTION).sort(_NEWEST).limit(wanted.limit)
    try:
        return list(found.clone().hint(LIST_INDEX))
    except OperationFailure as error:
        if error.code != _BAD_VALUE:
            raise
        return list(found)  # the index does not exist yet


def count_open(jobs: MongoCollection, account_id: str, *, most: int) -> int:
    """Count an account's open jobs, without the children of syncs, up to `most`."""
    own = {"account_id": account_id, "status": {"$in": _OPEN}, "parent_id": None}
    try:
        return jobs.count_documents(own, limit=most, hint=LIST_INDEX)
    except OperationFailure as error:
        if error.code != _BAD_VALUE:
            raise
        return jobs.count_documents(own, limit=most)  # the index does not exist yet


def _custom_types(jobs: MongoCollection, wanted: JobQuery) -> list[str]:
    """Return the custom objects that the account has jobs of: the index is skipped through, a step for each."""
    some = {**_statuses(wanted), "type": {"$gte": _CUSTOM[0], "$lt": _CUSTOM[1]}}
    return [each for each in jobs.distinct("type", some) if is_custom_name(each) and each not in wanted.types]


def _statuses(wanted: JobQuery) -> Document:
    statuses = [status.value for status in wanted.statuses or JobStatus]
    return {"account_id": wanted.account_id, "status": {"$in": statuses}}


def _query(wanted: JobQuery, types: list[str]) -> Document:
    """Name all statuses and types where any will do: without a value for each key, the index gives no order."""
    return {
        **_statuses(wanted),
        "type": {"$in": types},
        "$expr": _HAS_NOT_EXPIRED,
        **(_after(wanted.after) if wanted.after is not None else {}),
    }


def _after(last: JobSortKey) -> Document:
    """Continue in the index at an instant; ids tell jobs apart that were created at that very instant."""
    created_at, job_id = last
    return {"created_at": {"$lte": created_at}, "$nor": [{"created_at": created_at, "_id": {"$gte": job_id}}]}
