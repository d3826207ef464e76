"""Lanes <-> the part of a job's document that they are stored as."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from worker.jobs.lanes import Lane, Lanes
from worker.jobs.totals import ExportTotals
from worker.mongo.database import Document
from worker.records.conversion import convert
from worker.records.types import Offset

# By strings: the stored names are data, which no renaming of a field may change.
_StoredLane = TypedDict(  # noqa: UP013 - the line above says why
    "_StoredLane",
    {
        "after": int,
        "until": int | None,
        "place": int,
        "horizon": NotRequired[int | None],
        "number": NotRequired[int | None],
        "has_more": NotRequired[bool],
        "offset": NotRequired[Offset | None],
        "api": NotRequired[str | None],
        "pages": NotRequired[int],
        "blocks": NotRequired[tuple[tuple[int, int], ...]],
        "attempts": NotRequired[int],
        "waited_s": NotRequired[float],
        "resume_at": NotRequired[datetime | None],
        "tally": NotRequired[ExportTotals],
    },
)


class _StoredLanes(TypedDict):
    parts: tuple[_StoredLane, ...]
    made: NotRequired[int]


def lanes_to_document(lanes: Lanes) -> Document:
    return {"parts": [_to_document(lane) for lane in lanes.parts], "made": lanes.made}


def lanes_from_document(document: Document) -> Lanes:
    """Read lanes; older versions left fields out. Raises ValueError where a field has another type."""
    stored = convert(document, _StoredLanes)
    return Lanes(parts=tuple(_from_stored(each) for each in stored["parts"]), made=stored.get("made", 1))


def _to_document(lane: Lane) -> Document:
    return {
        "after": lane.after,
        "until": lane.until,
        "place": lane.read_through,
        "horizon": lane.known_end,
        "number": lane.number,
        "has_more": lane.has_more,
        "offset": lane.offset,
        "api": lane.api,
        "pages": lane.pages,
        "blocks": [list(each) for each in lane.page_runs],
        "attempts": lane.attempts,
        "waited_s": lane.backoff_s,
        "resume_at": lane.resume_at,
        "tally": lane.totals.to_stored(),
    }


def _from_stored(stored: _StoredLane) -> Lane:
    return Lane(
        after=stored["after"],
        until=stored["until"],
        read_through=stored["place"],
        known_end=stored.get("horizon"),
        number=stored.get("number"),
        has_more=stored.get("has_more", True),
        offset=stored.get("offset"),
        api=stored.get("api"),
        pages=stored.get("pages", 0),
        page_runs=stored.get("blocks", ()),
        attempts=stored.get("attempts", 1),
        backoff_s=stored.get("waited_s", 0.0),
        resume_at=stored.get("resume_at"),
        totals=stored.get("tally", ExportTotals()),
    )
