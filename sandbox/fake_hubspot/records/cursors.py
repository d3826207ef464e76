"""Pagination of the legacy lists: the order of records, and every recorded form of the offset.

Recordings of 2015-2020 and of 2022 disagree about which id an offset names and whether the next page includes that
record. They agree that an offset lies between the last id of its page and the next id, both included, and that
passing it back unchanged yields every record once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from sandbox.fake_hubspot.records.ids import mix
from sandbox.fake_hubspot.records.record_counts import RecordSet

CursorForm = Literal["last_id", "last_id_plus_1", "next_id", "mixed"]
"""`last_id` excludes the named record, the next two include it; `mixed` varies from page to page."""
FinalCursor = Literal["last_id", "last_id_plus_1", "zero", "none"]
"""The offset on the last page: one as on other pages, 0, or none at all."""
ListOrder = Literal["ascending", "descending"]
"""By id, which is the order of creation."""


class ListPage(NamedTuple):
    """The indexes of a page's records, whether there are more, and the offset; None: the page contains none."""

    indexes: list[int]
    more: bool
    cursor: int | None


@dataclass(frozen=True)
class ListReader:
    """Reads one list with offsets of one form.

    A descending list mirrors every form: "plus 1" is then minus 1.
    """

    record_set: RecordSet
    form: CursorForm
    final: FinalCursor | None = None
    """None: the same form as on other pages."""
    order: ListOrder = "ascending"
    is_listed: Callable[[int], bool] | None = None
    """Whether the list contains the record of an index yet; None: it contains all."""

    def page(self, cursor: int, size: int) -> ListPage:
        """Return a page; cursor 0 is the start."""
        found = list(islice(self._from(cursor), size + 1))
        ids = [self.record_set.id_at(index) for index in found]
        if len(found) > size:
            return ListPage(found[:size], more=True, cursor=self._between(ids[size - 1], ids[size]))
        return ListPage(found, more=False, cursor=self._at_end(ids[-1] if ids else None))

    def includes(self, cursor: int) -> bool:
        """Return whether the page that follows an offset includes the record of that id.

        With mixed forms this is a function of the number, so that the list needs no state. A record whose id directly
        follows another one's is always included: the only other offset is the id before, which may be included too and
        would repeat its record.
        """
        if self.form != "mixed":
            return self.form != "last_id"
        return self.record_set.has_had(cursor - self._step) or mix(self.record_set.seed, cursor) % 2 == 0

    @property
    def _step(self) -> int:
        return 1 if self.order == "ascending" else -1

    def _from(self, cursor: int) -> Iterator[int]:
        indexes = self._all_from(cursor)
        return filter(self.is_listed, indexes) if self.is_listed is not None else indexes

    def _all_from(self, cursor: int) -> Iterator[int]:
        included = self._step if cursor and self.includes(cursor) else 0
        if self.order == "ascending":
            return self.record_set.after(cursor - included)
        return self.record_set.before(cursor - included if cursor else None)

    def _between(self, last: int, following: int) -> int:
        named = {"last_id": last, "last_id_plus_1": last + self._step, "next_id": following}
        if self.form != "mixed":
            return named[self.form]
        right = [each for each in named.values() if self._leads_to(each, last=last, following=following)]
        return right[mix(self.record_set.seed, last) // 2 % len(right)]

    def _leads_to(self, cursor: int, *, last: int, following: int) -> bool:
        return cursor not in {last, following} or self.includes(cursor) == (cursor == following)

    def _at_end(self, last: int | None) -> int | None:
        if self.final == "none":
            return None
        if last is None or self.final == "zero":
            return 0
        return last if (self.final or self.form) == "last_id" else last + self._step
