"""Copying: how far a sync's export has brought the current copy up to what it saw at HubSpot; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an export found at HubSpot, against the copy as it was.

    A record that was deleted and is back counts as created: the records that live are those there were, plus the
    created, minus the deleted ones.
    """

    created: int
    changed: int
    unchanged: int
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """An export's account of what it did to the copy, stored with each change of it; `asdict` gives what is stored.

    No page was asked for before `since`, an instant of the database's clock. `left_out` are the ids of those that were
    being erased. When all pages are there, the copy is compared with them, in the order of ids: up to now
    `compared_pages` of them, and in the copy up to the id `compared_through`. Then it `is_compared`, or the export
    cannot show that it has seen all records.
    """

    since: datetime | None = None
    created: int = 0
    changed: int = 0
    left_out: tuple[int, ...] = ()
    deleted: int = 0
    compared_pages: int = 0
    compared_through: int | None = None
    is_compared: bool = False

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Read back what `asdict` gave and a database kept."""
        return msgspec.convert(stored, cls)

    @property
    def is_comparing(self) -> bool:
        """Whether the comparison has begun."""
        return self.compared_pages > 0 or self.compared_through is not None

    def after_page(self, *, created: int, changed: int, left_out: Iterable[int]) -> Self:
        """Count what a page has changed. Whoever reads the page again finds that done, and leaves out the same."""
        return replace(
            self,
            created=self.created + created,
            changed=self.changed + changed,
            left_out=tuple(sorted({*self.left_out, *left_out})),
        )

    def after_burial(self, buried: int, *, through: int) -> Self:
        """Count records that the export did not see; the copy is compared up to the id `through` now."""
        return replace(self, deleted=self.deleted + buried, compared_through=through)

    def after_portion(self, pages: int, *, through: int | None, of_pages: int) -> Self:
        """Go on to the next pages; after the last of all the copy is compared."""
        compared = self.compared_pages + pages
        return replace(self, compared_pages=compared, compared_through=through, is_compared=compared >= of_pages)

    def start_over(self) -> Self:
        """Begin again at the first page; what was changed in the copy stays changed, and counted."""
        return replace(self, since=None, left_out=(), compared_pages=0, compared_through=None, is_compared=False)

    def changes(self, *, seen: int) -> Changes:
        """Sum up for an export that has seen so many records."""
        unchanged = max(0, seen - len(self.left_out) - self.created - self.changed)
        return Changes(created=self.created, changed=self.changed, unchanged=unchanged, deleted=self.deleted)
