"""How a legacy list goes on from page to page: the order of its records and every recorded form of its offset.

Recordings of 2015-2020 and of 2022 disagree about what an offset names and whether reading on from it gives the record
that it names. They agree that an offset lies between the last id of its page and the next id, both included, and that
passed back as it came it gives every record once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from sandbox.portal.census import Census
from sandbox.portal.ids import mix

CursorForm = Literal["last_id", "last_id_plus_1", "next_id", "mixed"]
"""`last_id` excludes the record that it names, the other two include it; `mixed` changes from page to page."""
FinalCursor = Literal["last_id", "last_id_plus_1", "zero", "none"]
"""What the last page says: an offset all the same, 0, or nothing at all."""
ListOrder = Literal["ascending", "descending"]
"""By id, which is the order in which records were created."""


class ListPage(NamedTuple):
    """Indexes of the records of a page, whether there are more, and the offset; None: the page says none."""

    indexes: list[int]
    more: bool
    cursor: int | None


@dataclass(frozen=True)
class ListReader:
    """Reads one list from offsets of one form.

    In a descending list every form is mirrored: the id "plus 1" is then the one below.
    """

    census: Census
    form: CursorForm
    final: FinalCursor | None = None
    """None: as the form has it on every page."""
    order: ListOrder = "ascending"
    is_listed: Callable[[int], bool] | None = None
    """Which records, by their index, the list has by now; None: all of them."""

    def page(self, cursor: int, size: int) -> ListPage:
        """Read a page; 0 is the start."""
        found = list(islice(self._from(cursor), size + 1))
        ids = [self.census.id_at(index) for index in found]
        if len(found) > size:
            return ListPage(found[:size], more=True, cursor=self._between(ids[size - 1], ids[size]))
        return ListPage(found, more=False, cursor=self._at_end(ids[-1] if ids else None))

    def includes(self, cursor: int) -> bool:
        """Whether reading on from an offset gives the record of that id.

        Where forms are mixed this follows from the number, so that the list needs no memory. A record whose id follows
        that of another one is always given: if that one is given as well, no offset between the two would lead on.
        """
        if self.form != "mixed":
            return self.form != "last_id"
        return self.census.has_had(cursor - self._step) or mix(self.census.seed, cursor) % 2 == 0

    @property
    def _step(self) -> int:
        return 1 if self.order == "ascending" else -1

    def _from(self, cursor: int) -> Iterator[int]:
        indexes = self._all_from(cursor)
        return filter(self.is_listed, indexes) if self.is_listed is not None else indexes

    def _all_from(self, cursor: int) -> Iterator[int]:
        included = self._step if cursor and self.includes(cursor) else 0
        if self.order == "ascending":
            return self.census.after(cursor - included)
        return self.census.before(cursor - included if cursor else None)

    def _between(self, last: int, following: int) -> int:
        named = {"last_id": last, "last_id_plus_1": last + self._step, "next_id": following}
        if self.form != "mixed":
            return named[self.form]
        right = [each for each in named.values() if self._leads_to(each, last=last, following=following)]
        return right[mix(self.census.seed, last) // 2 % len(right)]

    def _leads_to(self, cursor: int, *, last: int, following: int) -> bool:
        return cursor not in {last, following} or self.includes(cursor) == (cursor == following)

    def _at_end(self, last: int | None) -> int | None:
        if self.final == "none":
            return None
        if last is None or self.final == "zero":
            return 0
        return last if (self.final or self.form) == "last_id" else last + self._step
