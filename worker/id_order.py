"""Whether HubSpot's list keeps to the order of its ids, in which lanes read it: asked of every page; pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, starmap
from operator import lt
from typing import TypeGuard

from worker.interfaces import FetchedPage
from worker.jobs import Job, JobKind
from worker.lanes import Lane, place_of
from worker.pages import ExportType

_PAGES_AT_FIRST = 10  # read one after the other: what is smaller pays nothing for lanes
_DATED = "dated"


def shows_order(job: Job) -> bool:
    """Whether what was read of an export, page after page, lets the rest of it be read in lanes."""
    tally, place = job.tally, place_of(job.records_type, job.progress.offset)
    return (
        job.kind is JobKind.EXPORT
        and job.request.limit is None
        and job.unsplit_because is None
        and not (job.copying is not None and job.copying.reads_feed)
        and job.progress.has_more
        and job.progress.pages >= _PAGES_AT_FIRST
        and tally.order == "ascending"
        and not (tally.ids_unreadable or tally.unsaid)
        and tally.last_id is not None
        and place is not None
        and place >= tally.last_id
        and _is_known_to_ascend(job.records_type, tally.apis[-1])
    )


def disorder_of(
    fetched: FetchedPage, ids: Sequence[int | None], *, lane: Lane, job: Job, is_followed: bool
) -> str | None:
    """Say what is wrong with a page that was asked for behind the lane's place; None: nothing is.

    `is_followed`: there were known to be records behind the lane when it was asked for.
    """
    page, export_type, api = fetched.page, job.records_type, fetched.api
    if not _is_known_to_ascend(export_type, api):
        return f"the {api} list of {export_type} is not known to come in the order of ids"
    if not page.says_more:
        return "a page did not say whether there is more"
    if not _are_ids(ids):
        return "a record came without an id"
    if not all(starmap(lt, pairwise([lane.place, *ids]))):
        return "ids did not ascend from the place that was asked for"
    if page.has_more:
        return _disorder_of_offset(place_of(export_type, page.offset), ids, api)
    ends_early = lane.until is not None and (not ids or ids[-1] < lane.until)
    return "HubSpot had no more where there is known to be more" if is_followed and ends_early else None


def _disorder_of_offset(place: int | None, ids: Sequence[int], api: str) -> str | None:
    """Compare the offset with the last id. The dated API may name the next record, and with it a later place."""
    if not ids:
        return "a page without records said that there is more"
    if place is None or place < ids[-1] or (place > ids[-1] and api != _DATED):
        return "an offset was not that of the last record"
    return None


def _is_known_to_ascend(export_type: ExportType, api: str) -> bool:
    return export_type is not ExportType.DEALS or api == _DATED


def _are_ids(ids: Sequence[int | None]) -> TypeGuard[Sequence[int]]:
    return None not in ids
