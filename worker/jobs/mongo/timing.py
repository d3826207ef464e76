"""When a job needs a worker or a message: fields derived from its state, in the write that changes it.

`ready_at`    since or from when a worker may claim it; a leased job has none
`due_at`      from when a message has to be published for it: its wait or lease ends then, or it was never published
`queued_at`   when the message that it waits for was published: lost, once all messages of that time were delivered
`unsettled_since`   since when the job has been hidden, or finished without an expiry, with the rest still to be done

A job has at most one of `due_at` and `queued_at`; one that needs neither has none. So each sweep reads one
small index, whatever else is stored. All instants are MongoDB's (`$$NOW`).
"""

from __future__ import annotations

from pymongo import ASCENDING

from worker.jobs.mongo.documents import FINISHED, REMOVED
from worker.jobs.status import JobKind, JobStatus
from worker.mongo.database import Document

OPEN = [status.value for status in JobStatus if not status.is_terminal]

_IS_OPEN = {
    "$and": [{"$in": ["$status", OPEN]}, {"$ne": ["$is_expanded", True]}]
}  # then its children are claimed instead
_IS_HELD = {"$gt": ["$lease.expires_at", "$$NOW"]}
_HAS_LAPSED = {"$gt": ["$lease", None]}  # evaluated only where it is not held
_NOT_BEFORE = {"$max": ["$resume_at", "$lease.expires_at"]}  # $max ignores missing fields
_IS_TO_COME = {"$gt": [_NOT_BEFORE, "$$NOW"]}
_IS_PUBLISHED = {"$and": [{"$gt": ["$published_at", None]}, {"$gte": ["$published_at", _NOT_BEFORE]}]}
_HAS_NO_END = {"$lte": ["$expires_at", None]}
_GETS_ITS_OWN_END = {"$or": [{"$lte": ["$parent_id", None]}, {"$lte": ["$receipt", None]}]}
_IS_UNSETTLED = {
    "$or": [
        {"$eq": ["$status", REMOVED]},
        {"$and": [{"$in": ["$status", FINISHED]}, _HAS_NO_END, _GETS_ITS_OWN_END]},
    ]
}


def _first(*cases: tuple[Document, object]) -> Document:
    """Return an expression for the value of the first case that holds; without one the field is removed."""
    return {"$switch": {"branches": [{"case": case, "then": then} for case, then in cases], "default": "$$REMOVE"}}


TIMED: Document = {
    "$set": {
        "ready_at": _first(
            ({"$not": _IS_OPEN}, "$$REMOVE"),
            (_IS_HELD, "$$REMOVE"),
            (_IS_TO_COME, "$resume_at"),
            (_HAS_LAPSED, {"$min": ["$created_at", "$$NOW"]}),  # ahead of the account's other jobs: it was running
            (_IS_OPEN, {"$min": ["$ready_at", "$$NOW"]}),
        ),
        "due_at": _first(
            ({"$not": _IS_OPEN}, "$$REMOVE"),
            (_IS_TO_COME, _NOT_BEFORE),
            ({"$not": _IS_PUBLISHED}, {"$min": ["$due_at", "$$NOW"]}),
        ),
        "queued_at": _first(
            ({"$not": _IS_OPEN}, "$$REMOVE"),
            (_IS_TO_COME, "$$REMOVE"),
            (_IS_PUBLISHED, {"$min": ["$published_at", "$$NOW"]}),
        ),
        "unsettled_since": _first((_IS_UNSETTLED, {"$min": ["$unsettled_since", "$$NOW"]})),
    }
}
"""The last stage of every update that changes a job's status, lease, wait, publication or expiry."""

LINE_OF_KIND: Document = {
    "$switch": {
        "branches": [{"case": {"$eq": ["$kind", kind.value]}, "then": kind.line.value} for kind in JobKind],
        "default": JobKind.EXPORT.line.value,
    }
}
"""The line of a job that an older version stored without one."""

HAS_DUE: Document = {"due_at": {"$exists": True}}
HAS_QUEUED: Document = {"queued_at": {"$exists": True}}
HAS_READY: Document = {"ready_at": {"$exists": True}}
HAS_INTERRUPTED: Document = {"unsettled_since": {"$exists": True}}
IS_LEASED: Document = {"lease.owner": {"$exists": True}}
IS_HELD = _IS_HELD

# The filter of a partial index is repeated in the query: beside `$expr` a field that is missing counts as null.
TIMING_INDEXES: list[tuple[list[tuple[str, int]], Document]] = [
    ([("due_at", ASCENDING)], HAS_DUE),
    ([("line", ASCENDING), ("queued_at", ASCENDING)], HAS_QUEUED),
    ([("unsettled_since", ASCENDING)], HAS_INTERRUPTED),
    ([("account_id", ASCENDING), ("line", ASCENDING), ("ready_at", ASCENDING)], HAS_READY),
    ([("account_id", ASCENDING), ("line", ASCENDING)], IS_LEASED),
    ([("account_id", ASCENDING), ("line", ASCENDING), ("claimed_at", ASCENDING)], {"claimed_at": {"$exists": True}}),
]


OLDER_INDEXES = {
    "is_expanded_1_status_1_published_at_1",
    "lease.expires_at_1_status_1",
    "status_1_expires_at_1_updated_at_1",
}
"""Indexes of older versions, replaced by these: each would cost every page of an export one more write."""


def literal(document: Document) -> Document:
    """Quote values: one that begins with a dollar sign would be evaluated as an expression."""
    return {key: {"$literal": value} for key, value in document.items()}
