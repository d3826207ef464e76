"""Lanes: ranges of an export's ids that are read concurrently, and which of them to split; pure.

Recorded traffic shows that HubSpot's lists are sorted by ascending id and continue from any id, whether it exists or
not. So a lane may begin at any id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from worker.jobs.page_runs import PageRun
from worker.jobs.totals import ExportTotals
from worker.records.cursor import Cursor
from worker.records.types import Offset

PAGES_A_LANE = 1_000_000
"""The pages of a lane are numbered from the lane's number times this one on."""


_MOST_LANES = 99  # the numbers of pages have eight digits
_LEAST_PAGES = 6  # remaining in a lane that is split: half a page is read twice at each border
_MOST_WASTED, _MOST_AT_BORDERS = 0.02, 0.03  # shares of the calls that return nothing, and that reread half a page
_STRIDE = 2  # the next lane at the open end begins so many times as far ahead as was read so far
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The records with ids above `after`, up to and including `until`; None: an open end, with whatever is created.

    `read_through` is the last id of a page, or one that was chosen. `offset` is what HubSpot's `api` gave with that
    page; None: ask for whatever follows `read_through`. `has_more` is false once `until` is reached, and at an open end
    when HubSpot had no more. `known_end` is the id behind which an open end had nothing when it was probed. `number`
    is None before the lane's first page, and again once it is closed and has merged others: then `page_runs` tell
    where all pages are. `attempts`, `backoff_s` and `resume_at` are of its next call.
    """

    after: int
    until: int | None
    read_through: int
    known_end: int | None = None
    number: int | None = None
    has_more: bool = True
    offset: Offset | None = None
    api: str | None = None
    pages: int = 0
    page_runs: tuple[PageRun, ...] = ()
    attempts: int = 1
    backoff_s: float = 0.0
    resume_at: datetime | None = None
    totals: ExportTotals = field(default_factory=ExportTotals)

    @property
    def records(self) -> int:
        """How many records of the lane are counted."""
        return self.totals.records

    @property
    def first_page(self) -> int:
        """The number of the lane's first page. Raises ValueError before there is one."""
        if self.number is None:
            raise ValueError("a lane without a page has no number")
        return self.number * PAGES_A_LANE

    @property
    def next_page(self) -> int:
        """The number of the next page to store."""
        return self.first_page + self.pages

    def count_within(self, ids: Sequence[int]) -> int:
        """Count how many of these ascending ids are the lane's own: the first ones."""
        return len(ids) if self.until is None else bisect_right(ids, self.until)

    @property
    def cursor(self) -> Cursor:
        """Where the lane's next page is."""
        return Cursor(offset=self.offset, api=self.api, after_id=self.read_through)

    def moved(self, read_through: int, *, has_more: bool, offset: Offset | None = None, api: str | None = None) -> Self:
        """Continue behind `read_through`, with HubSpot's `has_more`; records are not counted yet."""
        return replace(
            self,
            read_through=read_through,
            has_more=has_more if self.until is None else read_through < self.until,
            offset=offset if has_more else None,
            api=api if has_more else None,
            attempts=1,
            backoff_s=0.0,
            resume_at=None,
        )

    def with_page(self, totals: ExportTotals) -> Self:
        """Count a page, which `totals` includes already."""
        return replace(self, pages=self.pages + 1, totals=totals)

    def wait(self, delay_s: float, *, until: datetime, counts: bool) -> Self:
        """Delay the next call; `counts` tells whether it is one more try."""
        return replace(self, attempts=self.attempts + counts, backoff_s=self.backoff_s + delay_s, resume_at=until)

    def closed(self) -> Self:
        """Close a lane that is read to its end: it gets no further page."""
        page_runs = () if self.number is None else ((self.first_page, self.pages),)
        return replace(self, number=None, page_runs=page_runs)

    def merged_with(self, following: Self) -> Self:
        """Merge the lane behind this one into it; both are closed."""
        return replace(
            following,
            after=self.after,
            pages=self.pages + following.pages,
            page_runs=self.page_runs + following.page_runs,
            totals=self.totals.merged_with(following.totals),
        )

    @property
    def ids_a_record(self) -> float | None:
        """The mean distance between ids; None for fewer than two."""
        totals = self.totals
        if totals.first_id is None or totals.last_id is None or totals.records < 2:  # noqa: PLR2004 - a distance
            return None
        return (totals.last_id - totals.first_id) / (totals.records - 1)

    @property
    def end(self) -> int | None:
        """The id where it ends, or ended when that was probed; None at an open end that was not found yet."""
        return self.known_end if self.until is None else self.until

    @property
    def records_left(self) -> float:
        """Estimate how many records remain, by the mean distance of ids; 0.0 where that is unknown."""
        if self.end is None or self.ids_a_record is None or not self.has_more:
            return 0.0
        return (self.end - self.read_through) / self.ids_a_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """All lanes of an export, in the order of their ids, with no gaps between them; the last one has the open end.

    The first is what readers see so far, and grows as long as it has more. `made` counts the lanes that got a page.
    """

    parts: tuple[Lane, ...]
    made: int = 1

    @classmethod
    def of_first(cls, *, cursor: Cursor, pages: int, totals: ExportTotals) -> Self:
        """Begin with one lane: the pages read sequentially so far. Raises ValueError where ids came in no order."""
        if cursor.after_id is None:
            raise ValueError("an export that was not read in the order of ids cannot be split")
        first = Lane(
            after=0, until=None, read_through=cursor.after_id, number=0, pages=pages, totals=totals.of_records()
        )
        return cls(parts=(replace(first, offset=cursor.offset, api=cursor.api),))

    @property
    def first(self) -> Lane:
        """The lane that readers see."""
        return self.parts[0]

    @property
    def pages(self) -> int:
        return sum(lane.pages for lane in self.parts)

    @property
    def records(self) -> int:
        return sum(lane.records for lane in self.parts)

    @property
    def attempts(self) -> int:
        """The number of the current try in the lane that has tried most."""
        return max((lane.attempts for lane in self.parts if lane.has_more), default=1)

    @property
    def are_read(self) -> bool:
        """Whether every lane is read to its end; behind the open end something may have been created since."""
        return not any(lane.has_more for lane in self.parts)

    @property
    def are_one(self) -> bool:
        """Whether all lanes are merged into the first one: then everything was read."""
        return len(self.parts) == 1 and self.first.number is None

    def before_retry(self) -> Self:
        """Forget tries and back-offs, and that HubSpot has refused anything."""
        fresh = (
            replace(lane, attempts=1, backoff_s=0.0, resume_at=None, totals=lane.totals.before_retry())
            for lane in self.parts
        )
        return replace(self, parts=tuple(fresh))

    def find(self, after: int) -> Lane | None:
        """Return the lane that begins there; None where it was dropped."""
        return next((lane for lane in self.parts if lane.after == after), None)

    def with_lane(self, lane: Lane) -> Self:
        """Replace the lane that begins at the same id."""
        return replace(self, parts=tuple(lane if each.after == lane.after else each for each in self.parts))

    def numbered(self, lane: Lane) -> tuple[Self, Lane]:
        """Assign the lane its number, if it has none yet."""
        if lane.number is not None:
            return self, lane
        numbered = replace(lane, number=self.made)
        return replace(self, made=self.made + 1).with_lane(numbered), numbered

    def is_followed(self, lane: Lane) -> bool:
        """Whether records are known behind the lane."""
        return any(each.records for each in self.parts if each.after > lane.after)

    def ended_with(self, lane: Lane) -> Self:
        """Move the open end to a lane behind which HubSpot had nothing, and no record is known.

        Lanes without records are dropped, except where the lane before has met an id behind its own end: new records
        get higher ids than all others, so they appear behind that.
        """
        parts = [*self.parts[: self.parts.index(lane)], replace(lane, until=None, has_more=False)]
        while len(parts) > 1 and not parts[-1].records and parts[-2].has_more:
            beyond = parts.pop().after
            parts[-1] = replace(parts[-1], until=None, known_end=beyond)
        return replace(self, parts=tuple(parts))

    def next_to_merge(self, *, is_at_end: bool) -> Lane | None:
        """Return the lane that can be merged into the first one next: first itself, then the one behind it.

        Either has to be read to its end; the open end counts as read only once all lanes are, since it may get more.
        """
        wanted = self.parts[:1] if self.first.number is not None else self.parts[1:2]
        still_open = [lane for lane in (self.first, *wanted) if lane.has_more or (lane.until is None and not is_at_end)]
        return wanted[0] if wanted and not still_open else None

    def with_merged(self) -> Self:
        """Merge the lane that `next_to_merge` returns into the first one."""
        first, *others = self.parts
        if first.number is not None:
            return replace(self, parts=(first.closed(), *others))
        return replace(self, parts=(first.merged_with(others[0].closed()), *others[1:]))

    @property
    def counted_pages(self) -> tuple[PageRun, ...]:
        """The runs of all pages that the lanes count."""
        return tuple(run for lane in self.parts for run in (*lane.page_runs, *lane.closed().page_runs))

    def split(self, *, page_size: int, wasted: int, expected: int | None = None) -> tuple[Self, Lane] | None:
        """Split off the far part of the lane with the most remaining records; None where that is not worth a call.

        `wasted` calls have returned nothing so far; `expected` is the estimated number of all records.
        """
        if not self._affords_one_more(page_size, wasted):
            return None
        return self._split_at_the_end(page_size, expected) or self._split_longest(page_size)

    def _affords_one_more(self, page_size: int, wasted: int) -> bool:
        """Weigh what lanes cost: half a call at each border, and a whole one where nothing is found."""
        untried = sum(lane.number is None and lane.has_more for lane in self.parts)
        known_left = sum(self._left(lane) for lane in self.parts if lane.until is not None) / page_size
        return (
            self.made + untried < _MOST_LANES
            and wasted + untried <= _MOST_WASTED * (self.pages + wasted)
            and self.made / 2 <= 0.5 + _MOST_AT_BORDERS * (self.pages + known_left)
        )

    def _left(self, lane: Lane) -> float:
        """Estimate a lane's remaining records, capped: a gap in the ids looks like many records."""
        return min(lane.records_left, _STRIDE * self.records)

    def _split_at_the_end(self, page_size: int, expected: int | None) -> tuple[Self, Lane] | None:
        """Probe for the end behind half of what is expected, or exponentially further ahead."""
        last, start = self.parts[-1], self.first.totals.first_id
        if not last.has_more or last.end is not None or last.ids_a_record is None or start is None:
            return None
        left = (expected or 0) - self.records - sum(map(self._left, self.parts))
        is_expected = left >= _LEAST_PAGES * page_size
        ahead = int(left * last.ids_a_record / 2) if is_expected else _STRIDE * (last.read_through - start)
        return self._split(last, at=last.read_through + ahead) if last.read_through + ahead < _LARGEST_ID else None

    def _split_longest(self, page_size: int) -> tuple[Self, Lane] | None:
        longest = max(self.parts, key=self._left)
        left = self._left(longest)
        if longest.ids_a_record is None or left < _LEAST_PAGES * page_size:
            return None
        part = 2 if longest.until is not None else 4
        return self._split(longest, at=longest.read_through + int(left * longest.ids_a_record / part))

    def _split(self, lane: Lane, *, at: int) -> tuple[Self, Lane]:
        further = Lane(after=at, until=lane.until, read_through=at, known_end=lane.known_end)
        index = self.parts.index(lane)
        parts = (*self.parts[:index], replace(lane, until=at, known_end=None), further, *self.parts[index + 1 :])
        return replace(self, parts=parts), further
