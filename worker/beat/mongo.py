"""MongoDueWork: what sweeps and dispatches would find, by one command that reads one entry of each index."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import ASCENDING

from worker.accounts.mongo import portals
from worker.beat.gate import DueKind, Outlook
from worker.current_copy.mongo import erasures, records
from worker.jobs.mongo import documents
from worker.jobs.mongo.timing import HAS_DUE, HAS_INTERRUPTED, HAS_QUEUED, OPEN
from worker.jobs.status import Line
from worker.lifecycle.interfaces import ADOPTION, CHORES, ORPHANED_PAGES, PUBLISHING
from worker.lifecycle.mongo import upkeep
from worker.mongo.database import Document, MongoDatabase, translated_errors
from worker.schedules.mongo import store

_LONG_AGO_S = 1e9  # a value that is no date counts as due: the task for it puts the document off
_IS_DATE = {"$type": "date"}  # the filter of the partial indexes
_LEASES = [upkeep.chore_id(name) for name in (PUBLISHING, CHORES)]
_PACED = [upkeep.chore_id(name) for name in (ORPHANED_PAGES, ADOPTION)]


def _seconds_since(field: str) -> Document:
    seconds = {"$divide": [{"$subtract": ["$$NOW", f"${field}"]}, 1000]}
    return {"$cond": [{"$eq": [{"$type": f"${field}"}, "date"]}, seconds, _LONG_AGO_S]}


def _first(kind: DueKind, collection: str, wanted: Document, since: str | None) -> Document:
    """Read the first entry of an index, whose partial filter is `wanted`; without `since` any entry."""
    order: list[Document] = [{"$sort": {since: ASCENDING}}] if since is not None else []
    age = _seconds_since(since) if since is not None else {"$literal": _LONG_AGO_S}
    shown = {"_id": False, "kind": {"$literal": kind.value}, "s": age}
    pipeline = [{"$match": wanted}, *order, {"$limit": 1}, {"$project": shown}]
    return {"$unionWith": {"coll": collection, "pipeline": pipeline}}


_JOBS = documents.COLLECTION
_PIPELINE: Sequence[Document] = [
    {"$match": {"_id": {"$in": [*_LEASES, *_PACED]}}},
    {"$project": {"s": _seconds_since("held_until")}},
    _first(DueKind.UNPUBLISHED, _JOBS, HAS_DUE, "due_at"),
    *(_first(DueKind.QUEUED, _JOBS, {"line": line.value, **HAS_QUEUED}, "queued_at") for line in Line),
    _first(DueKind.OLDER, _JOBS, {"status": {"$in": OPEN}, "line": None}, None),
    _first(DueKind.UNFOLLOWED, _JOBS, {"unfollowed_since": {"$exists": True}}, "unfollowed_since"),
    _first(DueKind.INTERRUPTED, _JOBS, HAS_INTERRUPTED, "unsettled_since"),
    _first(DueKind.DELIVERY, _JOBS, {"deliver_at": _IS_DATE}, "deliver_at"),
    _first(DueKind.ERASURE, erasures.COLLECTION, {"due_at": _IS_DATE}, "due_at"),
    _first(DueKind.REMOVAL, portals.COLLECTION, {"removing_since": _IS_DATE}, "removing_since"),
    _first(DueKind.COPY, records.COPIES, {"adopt_at": _IS_DATE}, "adopt_at"),
    _first(DueKind.SCHEDULE, store.COLLECTION, {"due_at": _IS_DATE}, "due_at"),
]


class MongoDueWork:
    """DueWorkStore, by the server's clock, which decides in the tasks as well."""

    def __init__(self, database: MongoDatabase) -> None:
        self._upkeep = database[upkeep.COLLECTION]

    def look(self) -> Outlook:
        """Read some fifteen entries at most, whatever is stored."""
        with translated_errors():
            found = list(self._upkeep.aggregate([*_PIPELINE]))
        leases = {each["_id"]: each["s"] for each in found if "_id" in each}
        kinds = [(DueKind(each["kind"]), each["s"]) for each in found if "kind" in each]
        paced = [(DueKind.CHORE, leases[each]) for each in _PACED if each in leases]
        due_s: dict[DueKind, float] = {}
        for kind, since in (*kinds, *paced):
            due_s[kind] = max(since, due_s.get(kind, since))
        is_swept = all(each in leases for each in _LEASES)
        return Outlook(due_s=due_s, swept_s=max(leases[each] for each in _LEASES) if is_swept else None)
