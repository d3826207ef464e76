"""Progress: how far a job has come; Patience, Retention and Lease: what else changes while it is worked on; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from worker.records.page import Page
from worker.records.types import Offset

_PAGES_UNTIL_LARGER = 64  # trying a larger page that fails costs one call in so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job has come.

    `offset` is where the next page starts, as HubSpot's `api` (None: the caller) said. `cycle_marker` is an older
    offset, renewed whenever the page count reaches a power of two: meeting it again proves that HubSpot's offsets run
    in a cycle (Brent's cycle detection).
    """

    pages: int = 0
    records: int = 0
    offset: Offset | None = None
    has_more: bool = True
    cycle_marker: Offset | None = None
    api: str | None = None

    def after(self, page: Page, *, api: str | None = None, most: int | None = None) -> Self:
        """Count one more page, and at most `most` of its records: HubSpot may send more than it was asked for."""
        pages = self.pages + 1
        is_power_of_two = pages & (pages - 1) == 0
        return replace(
            self,
            pages=pages,
            records=self.records + (page.records if most is None else min(page.records, most)),
            offset=page.offset,
            has_more=page.has_more,
            cycle_marker=page.offset if is_power_of_two else self.cycle_marker,
            api=api,
        )

    def goes_on_to(self, page: Page, *, api: str | None = None) -> bool:
        """Whether the offset of `page` leads forward; offsets of different APIs cannot be compared."""
        return page.offset is not None and (api != self.api or page.offset not in (self.offset, self.cycle_marker))


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What was tried for the next page.

    A stored page resets `attempts`, the number of the current try of the call (0 before the first), `abandoned_leases`,
    the number of workers in a row that claimed the job and let their lease expire, and `backoff_s`, the sum of the
    back-offs. `page_size_cap` is how many records HubSpot was able to answer with, where that is less than the page
    size; it grows again as pages arrive. `longest_query` is how many characters HubSpot accepts, where it refused a
    longer query; it stays.
    """

    attempts: int = 0
    abandoned_leases: int = 0
    backoff_s: float = 0.0
    page_size_cap: int | None = None
    longest_query: int | None = None

    def after_pages(self, before: Progress, after: Progress, *, page_size: int) -> Self:
        """Reset after one or more pages; every 64 pages the cap on the page size doubles until it is gone."""
        most, step = self.page_size_cap, _PAGES_UNTIL_LARGER
        if most is not None and after.pages // step > before.pages // step:
            most = most * 2 if most * 2 < page_size else None
        return replace(self.after_call(), page_size_cap=most)

    def after_call(self) -> Self:
        """Reset after a call that was answered."""
        return replace(self, attempts=1, abandoned_leases=0, backoff_s=0.0)

    def after_failure(self, *, backoff_s: float, is_try: bool) -> Self:
        """Count a failed call, as a try or only as a wait, and the back-off before the next one."""
        return replace(self, attempts=self.attempts + is_try, backoff_s=self.backoff_s + backoff_s)

    def asking_for_less(self, *, records: int | None, query: int | None) -> Self:
        """Lower the caps to these, where there are any; they are never raised here."""
        return replace(
            self, page_size_cap=_least(self.page_size_cap, records), longest_query=_least(self.longest_query, query)
        )

    def renewed(self) -> Self:
        """Start over for a retry; what HubSpot was found to be able to answer stays."""
        return replace(self, attempts=0, abandoned_leases=0, backoff_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """When a job is removed, and the expiry that its stored pages carry.

    The two differ after a retry: the job is kept, while its pages still have to be given a new lease of life.
    """

    expires_at: datetime | None = None
    pages_expire_at: datetime | None = None

    @classmethod
    def until(cls, at: datetime) -> Self:
        """Remove the job and its pages at one instant."""
        return cls(expires_at=at, pages_expire_at=at)

    def of_job(self, at: datetime | None) -> Self:
        """Remove the job at that instant, or not at all; its pages keep what they have."""
        return replace(self, expires_at=at)

    def with_pages_kept(self) -> Self:
        """Note that the pages carry no expiry any more."""
        return replace(self, pages_expire_at=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may write the job. The epoch only grows: a holder whose lease has expired is recognised by its own."""

    owner: str
    epoch: int


def _least(*numbers: int | None) -> int | None:
    return min((each for each in numbers if each is not None), default=None)
