"""JobReading: how far a job has read, and what it reads next; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worker.jobs.copy_progress import Changes
from worker.jobs.job_record import JobRecord
from worker.jobs.page_runs import PageRun, numbers_of
from worker.jobs.status import JobKind
from worker.records.crm_api import CrmApi
from worker.records.cursor import Cursor

_LEGACY, _DATED = "legacy", "dated"
_PAGE = "200"  # the status of an answer that holds a page


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReading(JobRecord):
    """What follows from a job's fields for its reading."""

    @property
    def has_copy_to_compare(self) -> bool:
        """Whether all pages are stored and the current copy has still to be compared with them."""
        return self.copying is not None and self.is_complete and not self.copying.is_compared

    @property
    def changes(self) -> Changes | None:
        """The changes that the job has found so far; None where it keeps no copy."""
        if self.copying is None:
            return None
        distinct = self.receipt.distinct_ids if self.receipt is not None else None
        return self.copying.changes(seen=self.totals.ids if distinct is None else distinct)

    @property
    def last_api(self) -> CrmApi | None:
        """The API that the job was last read by; None before it has begun.

        A job that an older version stored has none of its own; its cursor tells.
        """
        if self.api is not None or self.cursor.api is None:
            return self.api
        return CrmApi(self.cursor.api)

    @property
    def next_page_size(self) -> int:
        """How many records the next call asks for: the page size or its cap, at most the rest of the limit."""
        most = min(self.request.page_size, self.page_size_cap or self.request.page_size)
        return most if self.remaining is None else min(most, self.remaining)

    @property
    def remaining(self) -> int | None:
        """How many records the limit still allows; None without a limit."""
        return None if self.request.limit is None else self.request.limit - self.progress.records

    @property
    def cursor(self) -> Cursor:
        """Where the next page is. Older versions stored no API beside the offset: the totals tell which was called."""
        progress, totals = self.progress, self.totals
        if self.copying is not None and self.reads_archive:
            return Cursor(offset=self.copying.archived_after, api=_DATED)
        if progress.pages == 0:
            return Cursor(offset=progress.offset)
        api = progress.api or (_DATED if _DATED in totals.apis else _LEGACY)
        return Cursor(offset=progress.offset, api=api, after_id=None if self.reads_feed else totals.read_through)

    @property
    def last_id(self) -> int | None:
        """The id of the last record; None before there is one, and where ids came in no order."""
        return None if self.reads_feed or self.totals.order == "mixed" else self.totals.last_id

    @property
    def reads_feed(self) -> bool:
        """Whether it reads HubSpot's feed of changes instead of the list of all records."""
        return self.copying is not None and self.copying.reads_feed

    @property
    def searches(self) -> bool:
        """Whether it reads changes by the search of the dated API, whose calls HubSpot counts apart from all others."""
        return self.reads_feed and self.api is CrmApi.DATED and not self.is_complete

    @property
    def reads_archive(self) -> bool:
        """Whether all pages of changes are stored, and HubSpot has still to tell what was deleted."""
        return (
            self.copying is not None
            and self.reads_feed
            and self.api is CrmApi.DATED
            and self.has_copy_to_compare
            and not self.copying.archive_is_read
        )

    @property
    def pages_fetched(self) -> int:
        """How many calls returned a page; not every one of those pages need be stored."""
        return self.totals.calls.get(_PAGE, 0) - self.further_calls

    @property
    def readable(self) -> int:
        """How many records its results hold; other lanes may have read further ahead."""
        return self.lanes.first.records if self.lanes is not None else self.progress.records

    @property
    def refused_lists(self) -> frozenset[str]:
        """The lists of several that HubSpot has refused in this run, in whatever lane."""
        ahead = self.lanes.parts if self.lanes is not None else ()
        return self.totals.refused.union(*(lane.totals.refused for lane in ahead))

    @property
    def stored_bytes(self) -> int:
        """The size of its pages, including those that lanes have read ahead, in HubSpot's bytes before compression."""
        ahead = self.lanes.parts if self.lanes is not None else ()
        return self.totals.bytes + sum(lane.totals.bytes for lane in ahead)

    @property
    def counted_pages(self) -> tuple[PageRun, ...]:
        """The numbers of all pages that it counts, including those that lanes have read ahead.

        A page with any other number was stored by a worker that died, or lost its lease, before it could count it.
        """
        if self.lanes is not None:
            return self.lanes.counted_pages
        return self.page_runs or ((0, self.progress.pages),)

    def page_numbers(self, positions: Iterable[int]) -> list[int]:
        """Return the stored numbers of the pages at these positions in the order of ids."""
        return numbers_of(self.page_runs, positions)

    @property
    def is_complete(self) -> bool:
        """Whether HubSpot has no more, or nothing more was asked for."""
        has_its_page = self.kind is JobKind.PAGE and self.progress.pages > 0
        return has_its_page or not self.progress.has_more or self.remaining == 0
