"""Lanes: an export's ids in parts that are read side by side, and which of them is to be split; pure.

Recorded traffic: lists come with ids ascending and go on from any id, whether it exists or not. That makes an id a
place to begin at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate
from typing import Self, TypeAlias

from worker.jobs.totals import ExportTotals
from worker.records.conversion import convert
from worker.records.cursor import Cursor
from worker.records.types import Offset

PAGES_A_LANE = 1_000_000
"""Each lane's pages have numbers of their own: from the lane's number times this one on."""

Block: TypeAlias = tuple[int, int]
"""Pages that follow each other in the order of ids and in their numbers: the first number, and how many they are."""

_MOST_LANES = 99  # the numbers of pages have eight digits
_LEAST_PAGES = 6  # left of a lane that is split: half a page is read twice at each border
_MOST_WASTED, _MOST_AT_BORDERS = 0.02, 0.03  # of the calls, that bring nothing, and that read half a page again
_STRIDE = 2  # how many times as far as until now the next lane at the open end begins
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The records whose ids are above `after`, up to and with `until`; None: all that follow, new ones among them.

    All up to `place` are read: it is the last id on a page, or one that we chose. `offset` is what HubSpot's `api` gave
    with that page; None: whatever comes behind `place` is asked for. `has_more` is false when that is as far as
    `until`, and at the open end when HubSpot had no more. `horizon` is from where on there was nothing at the open end
    when that was looked at. `number` is None before the lane's first page, and again when it has been read and has
    taken others in: then `blocks` are where all pages are. `attempts`, `waited_s` and `resume_at` are of its next call.
    """

    after: int
    until: int | None
    place: int
    horizon: int | None = None
    number: int | None = None
    has_more: bool = True
    offset: Offset | None = None
    api: str | None = None
    pages: int = 0
    blocks: tuple[Block, ...] = ()
    attempts: int = 1
    waited_s: float = 0.0
    resume_at: datetime | None = None
    tally: ExportTotals = field(default_factory=ExportTotals)

    @property
    def records(self) -> int:
        """How many of its records are counted."""
        return self.tally.records

    @property
    def first_page(self) -> int:
        """The number of its first page. Raises ValueError before it has one."""
        if self.number is None:
            raise ValueError("a lane without a page has no number")
        return self.number * PAGES_A_LANE

    @property
    def next_page(self) -> int:
        """The number of the page that is stored next."""
        return self.first_page + self.pages

    def count_within(self, ids: Sequence[int]) -> int:
        """How many of the first of these ascending ids are the lane's own."""
        return len(ids) if self.until is None else bisect_right(ids, self.until)

    @property
    def cursor(self) -> Cursor:
        """Where its next page is."""
        return Cursor(offset=self.offset, api=self.api, after_id=self.place)

    def moved(self, place: int, *, has_more: bool, offset: Offset | None = None, api: str | None = None) -> Self:
        """Go on behind `place`, `has_more` by HubSpot's word; records are not counted yet."""
        return replace(
            self,
            place=place,
            has_more=has_more if self.until is None else place < self.until,
            offset=offset if has_more else None,
            api=api if has_more else None,
            attempts=1,
            waited_s=0.0,
            resume_at=None,
        )

    def with_page(self, tally: ExportTotals) -> Self:
        """Count the page that `tally` is now about as well."""
        return replace(self, pages=self.pages + 1, tally=tally)

    def wait(self, delay_s: float, *, until: datetime, counts: bool) -> Self:
        """Put the next call off; `counts` is whether it is one try more."""
        return replace(self, attempts=self.attempts + counts, waited_s=self.waited_s + delay_s, resume_at=until)

    def sealed(self) -> Self:
        """Be read to the end, with no page more to come."""
        blocks = () if self.number is None else ((self.first_page, self.pages),)
        return replace(self, number=None, blocks=blocks)

    def joined(self, following: Self) -> Self:
        """Take the lane behind this one in; both are sealed."""
        return replace(
            following,
            after=self.after,
            pages=self.pages + following.pages,
            blocks=self.blocks + following.blocks,
            tally=self.tally.joined(following.tally),
        )

    @property
    def ids_a_record(self) -> float | None:
        """The mean distance of its ids; None before there are two."""
        tally = self.tally
        if tally.first_id is None or tally.last_id is None or tally.records < 2:  # noqa: PLR2004 - a distance
            return None
        return (tally.last_id - tally.first_id) / (tally.records - 1)

    @property
    def known_end(self) -> int | None:
        """Where it ends, or ended when that was looked at; None at an open end that nobody has found."""
        return self.horizon if self.until is None else self.until

    @property
    def records_left(self) -> float:
        """Estimate what is left, by the distance of the ids so far; 0.0 where nothing tells."""
        if self.known_end is None or self.ids_a_record is None or not self.has_more:
            return 0.0
        return (self.known_end - self.place) / self.ids_a_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """All lanes of an export, in the order of their ids, with nothing between them; the last one has the open end.

    The first is what can be read by now, and is being added to as long as it has more. `made` counts lanes that have
    brought a page.
    """

    parts: tuple[Lane, ...]
    made: int = 1

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Read back what `asdict` gave and a database kept."""
        return convert(stored, cls)

    @classmethod
    def of_first(cls, *, cursor: Cursor, pages: int, tally: ExportTotals) -> Self:
        """Begin with what was read page after page as the only lane. Raises ValueError where it has no order."""
        if cursor.after_id is None:
            raise ValueError("an export that was not read in the order of ids cannot be split")
        first = Lane(after=0, until=None, place=cursor.after_id, number=0, pages=pages, tally=tally.of_records())
        return cls(parts=(replace(first, offset=cursor.offset, api=cursor.api),))

    @property
    def first(self) -> Lane:
        """What can be read."""
        return self.parts[0]

    @property
    def pages(self) -> int:
        """Of all lanes."""
        return sum(lane.pages for lane in self.parts)

    @property
    def records(self) -> int:
        """Of all lanes."""
        return sum(lane.records for lane in self.parts)

    @property
    def attempts(self) -> int:
        """The try now under way in the lane that has tried most."""
        return max((lane.attempts for lane in self.parts if lane.has_more), default=1)

    @property
    def are_read(self) -> bool:
        """Whether HubSpot has shown the end of every lane; at the open end something new may have come since."""
        return not any(lane.has_more for lane in self.parts)

    @property
    def are_one(self) -> bool:
        """Whether the first lane has taken all others in, which it does only when all was read."""
        return len(self.parts) == 1 and self.first.number is None

    def with_fresh_patience(self) -> Self:
        """Forget how often calls were tried and for how long they were put off."""
        fresh = (replace(lane, attempts=1, waited_s=0.0, resume_at=None) for lane in self.parts)
        return replace(self, parts=tuple(fresh))

    def find(self, after: int) -> Lane | None:
        """Return the lane that begins there; None where it was given up."""
        return next((lane for lane in self.parts if lane.after == after), None)

    def with_lane(self, lane: Lane) -> Self:
        """Put a lane in the place of the one that begins where it does."""
        return replace(self, parts=tuple(lane if each.after == lane.after else each for each in self.parts))

    def numbered(self, lane: Lane) -> tuple[Self, Lane]:
        """Give the lane a number, if it has none."""
        if lane.number is not None:
            return self, lane
        numbered = replace(lane, number=self.made)
        return replace(self, made=self.made + 1).with_lane(numbered), numbered

    def is_followed(self, lane: Lane) -> bool:
        """Whether there are known to be records behind the lane."""
        return any(each.records for each in self.parts if each.after > lane.after)

    def ended_with(self, lane: Lane) -> Self:
        """Give the open end to a lane behind which HubSpot had nothing, and none is known to be.

        A lane without records is given up, unless the one before has met an id behind its own end: new records have
        higher ids than all before, so they come behind that.
        """
        parts = [*self.parts[: self.parts.index(lane)], replace(lane, until=None, has_more=False)]
        while len(parts) > 1 and not parts[-1].records and parts[-2].has_more:
            beyond = parts.pop().after
            parts[-1] = replace(parts[-1], until=None, horizon=beyond)
        return replace(self, parts=tuple(parts))

    def to_take_in(self, *, is_at_end: bool) -> Lane | None:
        """Return the lane that the first one can take in next: itself, and then the one behind it if that is read.

        The open end is read when all of them are: until then it may bring more.
        """
        wanted = self.parts[:1] if self.first.number is not None else self.parts[1:2]
        still_open = [lane for lane in (self.first, *wanted) if lane.has_more or (lane.until is None and not is_at_end)]
        return wanted[0] if wanted and not still_open else None

    def taken_in(self) -> Self:
        """Have the first lane take in what `to_take_in` gives."""
        first, *others = self.parts
        if first.number is not None:
            return replace(self, parts=(first.sealed(), *others))
        return replace(self, parts=(first.joined(others[0].sealed()), *others[1:]))

    @property
    def counted_pages(self) -> tuple[Block, ...]:
        """The pages of all lanes as far as they have come."""
        return tuple(block for lane in self.parts for block in (*lane.blocks, *lane.sealed().blocks))

    def split(self, *, page_size: int, wasted: int, expected: int | None = None) -> tuple[Self, Lane] | None:
        """Have a new lane take the further part of the one with the most left; None where it is not worth a call.

        `wasted` calls have brought nothing; `expected` is how many records there are thought to be in all.
        """
        if not self._affords_one_more(page_size, wasted):
            return None
        return self._split_at_the_end(page_size, expected) or self._split_longest(page_size)

    def _affords_one_more(self, page_size: int, wasted: int) -> bool:
        """Weigh what lanes cost: half a call at each border, and a whole one where there turns out to be nothing."""
        untried = sum(lane.number is None and lane.has_more for lane in self.parts)
        known_left = sum(self._left(lane) for lane in self.parts if lane.until is not None) / page_size
        return (
            self.made + untried < _MOST_LANES
            and wasted + untried <= _MOST_WASTED * (self.pages + wasted)
            and self.made / 2 <= 0.5 + _MOST_AT_BORDERS * (self.pages + known_left)
        )

    def _left(self, lane: Lane) -> float:
        """Estimate what a lane has left; a gap may look like many records, so never much more than was read by now."""
        return min(lane.records_left, _STRIDE * self.records)

    def _split_at_the_end(self, page_size: int, expected: int | None) -> tuple[Self, Lane] | None:
        """Look for the end behind half of what is expected, or further and further ahead."""
        last, start = self.parts[-1], self.first.tally.first_id
        if not last.has_more or last.known_end is not None or last.ids_a_record is None or start is None:
            return None
        left = (expected or 0) - self.records - sum(map(self._left, self.parts))
        is_expected = left >= _LEAST_PAGES * page_size
        ahead = int(left * last.ids_a_record / 2) if is_expected else _STRIDE * (last.place - start)
        return self._split(last, at=last.place + ahead) if last.place + ahead < _LARGEST_ID else None

    def _split_longest(self, page_size: int) -> tuple[Self, Lane] | None:
        longest = max(self.parts, key=self._left)
        left = self._left(longest)
        if longest.ids_a_record is None or left < _LEAST_PAGES * page_size:
            return None
        part = 2 if longest.until is not None else 4
        return self._split(longest, at=longest.place + int(left * longest.ids_a_record / part))

    def _split(self, lane: Lane, *, at: int) -> tuple[Self, Lane]:
        further = Lane(after=at, until=lane.until, place=at, horizon=lane.horizon)
        place = self.parts.index(lane)
        parts = (*self.parts[:place], replace(lane, until=at, horizon=None), further, *self.parts[place + 1 :])
        return replace(self, parts=parts), further


def gaps_between(blocks: Iterable[Block]) -> Iterator[tuple[int, int | None]]:
    """Return from where to where, `end` not among them, there are numbers that no page of the blocks has."""
    free = 0
    for first, pages in sorted(blocks):
        if free < first:
            yield free, first
        free = first + pages
    yield free, None


def is_among(blocks: Iterable[Block], number: int) -> bool:
    """Whether a page of the blocks has this number."""
    return any(first <= number < first + pages for first, pages in blocks)


def numbers_of(blocks: Sequence[Block], places: Iterable[int]) -> list[int]:
    """Return the numbers of pages by their places in the order of ids; without blocks the two are the same."""
    if not blocks:
        return list(places)
    begins = [0, *accumulate(pages for _, pages in blocks)]
    found = ((place, bisect_right(begins, place) - 1) for place in places)
    return [blocks[block][0] + place - begins[block] for place, block in found]
