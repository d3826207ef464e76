"""Several lists in the order of their ids -> pages of one list in the order of ids; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import pairwise
from operator import attrgetter

from worker.records.mending import MendKind
from worker.records.types import Offset


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of a list, as JSON. `place` is its id, or, without one, that of the record before it in its list."""

    place: int
    body: bytes
    mends: tuple[MendKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What is known of a list from some id on: its next `entries`, and where it continues behind them.

    `after` is HubSpot's, None where the list ended when it was `asked_at`, on the monotonic clock.
    """

    entries: tuple[Entry, ...]
    after: Offset | None
    asked_at: float

    @property
    def is_known(self) -> bool:
        """Whether the next record is known, or that there is none."""
        return bool(self.entries) or self.after is None

    @property
    def is_over(self) -> bool:
        return not self.entries and self.after is None

    @property
    def size(self) -> int:
        return sum(len(entry.body) for entry in self.entries)

    def extended(self, entries: Sequence[Entry], *, after: Offset | None, asked_at: float) -> Stretch:
        """Return it with what came next when it was asked for later."""
        oldest = self.asked_at if self.entries else asked_at
        return Stretch(entries=(*self.entries, *entries), after=after, asked_at=oldest)

    def behind(self, place: int) -> Stretch:
        """Return what is left of it behind a place."""
        return replace(self, entries=self.entries[bisect_right(self.entries, place, key=attrgetter("place")) :])


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedPage:
    """The first records of all lists, in order, up to the place `through`; what is left of each list.

    `asked_at` is when the oldest of the answers that it rests on was asked for.
    """

    entries: Sequence[Entry]
    rest: Mapping[str, Stretch]
    through: int | None
    asked_at: float

    @property
    def has_more(self) -> bool:
        return not all(each.is_over for each in self.rest.values())


def first_page(stretches: Mapping[str, Stretch], *, most: int) -> MergedPage:
    """Return the first records of several lists, each of which `is_known`, all from the same id on.

    They reach as far as every list is known: to the least of the last ids of those that continue. There are `most` of
    them, or as many more as share the last one's place.
    """
    horizon = min((each.entries[-1].place for each in stretches.values() if each.after is not None), default=None)
    entries = list(merge(*(each.entries for each in stretches.values()), key=attrgetter("place")))
    end = len(entries) if horizon is None else bisect_right(entries, horizon, key=attrgetter("place"))
    if end > most:
        end = bisect_right(entries, entries[most - 1].place, key=attrgetter("place"))
    through = entries[end - 1].place if end else None
    rest = stretches if through is None else {name: each.behind(through) for name, each in stretches.items()}
    asked_at = min(each.asked_at for each in stretches.values())
    return MergedPage(entries=entries[:end], rest=rest, through=through, asked_at=asked_at)


def is_in_order(entries: Iterable[Entry]) -> bool:
    return all(before.place <= after.place for before, after in pairwise(entries))
