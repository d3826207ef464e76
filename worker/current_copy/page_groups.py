"""PageGroups: the ids of a sync's stored pages, in groups of pages that are compared with the copy at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from worker.jobs.copy_progress import CopyProgress
from worker.jobs.job import Job
from worker.pages.interfaces import PageStore
from worker.records.page import record_ids

SeenIds: TypeAlias = Mapping[int, Collection[int]]
"""The ids of stored pages by the pages' numbers."""
NONE_SEEN: SeenIds = MappingProxyType({})
_PAGES_AT_ONCE = 20  # between two checkpoints, at which the job may be stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class PageGroup:
    """Adjacent pages: how many, the ids that they hold, and the range of ids that only they can hold, up to `through`.

    The last group has all the rest (None); pages without ids have an empty range.
    """

    pages: int
    seen: frozenset[int]
    through: int | None
    is_last: bool


class PageGroups:
    """Reads groups of pages; one object serves all jobs."""

    def __init__(self, pages: PageStore) -> None:
        self._pages = pages

    def next_of(self, job: Job, copying: CopyProgress, stored: SeenIds) -> PageGroup:
        """Read the ids of the next pages in the order of ids; of all pages where the ids are in no order."""
        pages, done = job.progress.pages, copying.compared_pages
        count = min(pages - done, pages if job.totals.order == "mixed" else _PAGES_AT_ONCE)
        first = pages - done - count if job.totals.order == "descending" else done
        seen = frozenset(self._ids(job, first, count, stored))
        is_last = done + count == pages
        through = None if is_last else max(seen, default=copying.compared_through)
        return PageGroup(pages=count, seen=seen, through=through, is_last=is_last)

    def _ids(self, job: Job, first: int, count: int, stored: SeenIds) -> Iterator[int]:
        numbers = job.page_numbers(range(first, first + count))
        for number in numbers:
            yield from stored.get(number, ())
        others = [number for number in numbers if number not in stored]
        for start in range(0, len(others), _PAGES_AT_ONCE):
            for page in self._pages.some(job.job_id, others[start : start + _PAGES_AT_ONCE]):
                yield from (each for each in record_ids(job.records_type, page.body) if each is not None)
