"""Whether HubSpot's list is in the order of its ids, as lanes need it: asked of every page; pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, starmap
from operator import lt
from typing import TypeGuard

from worker.export.interfaces import FetchedPage
from worker.jobs.job import Job
from worker.jobs.lanes import Lane
from worker.jobs.status import JobKind
from worker.records.types import Offset

_CALLS_AT_FIRST = 10  # made one after the other: what is smaller pays nothing for lanes


def shows_order(job: Job) -> bool:
    """Whether what was read of an export, page after page, lets the rest of it be read in lanes."""
    totals = job.totals
    return (
        job.kind is JobKind.EXPORT
        and job.request.limit is None
        and job.unsplit_because is None
        and not job.reads_feed
        and job.progress.has_more
        and job.progress.pages + job.further_calls >= _CALLS_AT_FIRST
        and not totals.unsaid
        and totals.read_through is not None
        and _names_an_id(job.progress.offset, totals.read_through)
    )


def disorder_of(fetched: FetchedPage, ids: Sequence[int | None], *, lane: Lane, is_followed: bool) -> str | None:
    """Return what is wrong with a page that was asked for behind the last id that the lane has read; None: nothing is.

    It may begin with the record of that id. `is_followed`: there were known to be records behind the lane when it
    was asked for.
    """
    page = fetched.page
    if not page.says_more:
        return "a page did not say whether there is more"
    if not _are_ids(ids):
        return "a record came without an id"
    new = ids[1:] if ids and ids[0] == lane.read_through else ids
    if not all(starmap(lt, pairwise([lane.read_through, *new]))):
        return "ids did not ascend from the place that was asked for"
    if page.has_more:
        return _disorder_of_more(page.offset, ids, new, lane=lane)
    ends_early = lane.until is not None and (not new or new[-1] < lane.until)
    return "HubSpot had no more where there is known to be more" if is_followed and ends_early else None


def _disorder_of_more(offset: Offset | None, ids: Sequence[int], new: Sequence[int], *, lane: Lane) -> str | None:
    """Return what is wrong with a page behind which there is more; None: nothing is.

    A page of one record may repeat the lane's last id where we chose that as the offset, not where HubSpot gave it.
    """
    if not ids or (not new and lane.offset is not None):
        return "a page without records said that there is more"
    if not _names_an_id(offset, ids[-1]):
        return "an offset was none that lies behind the last record"
    return None


def _names_an_id(offset: Offset | None, last_id: int) -> bool:
    """Whether an offset can be one of a list that is read by ids: it lies between the last id and the next one."""
    return isinstance(offset, int) and offset >= last_id


def _are_ids(ids: Sequence[int | None]) -> TypeGuard[Sequence[int]]:
    return None not in ids
