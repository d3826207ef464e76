"""CopyProgress: how far a sync's export has brought the current copy up to what it saw at HubSpot; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from worker.records.conversion import convert

_FEED_REACHES = timedelta(days=29)  # HubSpot's feeds go back for 30 days, by HubSpot's clock
FEED_TOO_OLD = "the last complete sync began more than 29 days ago, and HubSpot's feeds end after 30"
_OVERLAP = timedelta(minutes=10)  # for what HubSpot tells late, and for clocks that differ


class SyncMode(StrEnum):
    """How a sync looks for changes: at all records, or at what HubSpot's feeds say has changed since the last sync."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an export found at HubSpot, against the copy as it was.

    A record that was deleted and is back counts as created: the records that live are those there were, plus the
    created, minus the deleted ones. `withheld` were not found either, but live on until there is proof.
    """

    created: int
    changed: int
    unchanged: int
    deleted: int
    withheld: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look at some records of the copy has found: those that live, and of these the ones the pages lack.

    An earlier sync has missed the `proven` ones too. Those `beyond` are of a kind that the list does not hold.
    """

    living: int = 0
    missing: int = 0
    proven: int = 0
    beyond: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProgress:
    """An export's account of what it did to the copy, stored with each change of it; `asdict` gives what is stored.

    No page was asked for before `since`, an instant of the database's clock. `left_out` are the ids of those that were
    being erased. When all pages are there, the copy is compared with them, in the order of ids: up to now
    `compared_pages` of them, and in the copy up to the id `compared_through`. Then it `is_compared`, or the export
    cannot show that it has seen all records.

    The copy is compared twice. The first look only counts: the `living` records, and those that the pages lack, of
    which an earlier sync has missed the `proven` ones too and the `missing` ones are news; `is_of_part` says that the
    copy has records that the list cannot hold. With that it is known how many `may_delete` without proof, all of the
    missing ones or none, and the second look marks as deleted, or counts as `withheld`. Where it finds nothing to do,
    there is none. `confirms_deletions`: someone has said that whatever is missing is gone.

    In the mode `incremental` it is decided when the export begins: it reads the feed of what has changed since
    `feed_since`, where `feed_total` is what HubSpot last counted, or all records, `full_because` of something.
    """

    mode: SyncMode = SyncMode.FULL
    feed_since: datetime | None = None
    feed_total: int | None = None
    full_because: str | None = None
    since: datetime | None = None
    created: int = 0
    changed: int = 0
    left_out: tuple[int, ...] = ()
    deleted: int = 0
    confirms_deletions: bool = False
    living: int = 0
    missing: int = 0
    proven: int = 0
    is_of_part: bool = False
    may_delete: int | None = None
    withheld: int = 0
    compared_pages: int = 0
    compared_through: int | None = None
    is_compared: bool = False

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Read back what `asdict` gave and a database kept."""
        return convert(stored, cls)

    @property
    def reads_feed(self) -> bool:
        """Whether a feed is read and not the list of all records."""
        return self.feed_since is not None

    @property
    def mode_used(self) -> SyncMode | None:
        """How the export does look for changes; None before that is decided."""
        if self.mode is SyncMode.FULL or self.full_because is not None:
            return SyncMode.FULL
        return SyncMode.INCREMENTAL if self.reads_feed else None

    def decide(self, last_since: datetime | None, *, at: datetime) -> Self:
        """Choose by when the last complete sync began."""
        if last_since is None:
            return replace(self, full_because="no sync has seen all records yet")
        decided = replace(self, feed_since=last_since - _OVERLAP)
        return self.read_all(FEED_TOO_OLD) if decided.is_feed_too_old(at=at) else decided

    def is_feed_too_old(self, *, at: datetime) -> bool:
        """Whether a feed is to be read that does not go back that far any more."""
        return self.feed_since is not None and at - self.feed_since > _FEED_REACHES

    def read_all(self, because: str) -> Self:
        """Begin again with all records."""
        return replace(self.start_over(), feed_since=None, full_because=because)

    @property
    def is_comparing(self) -> bool:
        """Whether the comparison has begun."""
        return self.compared_pages > 0 or self.compared_through is not None or self.may_delete is not None

    def after_page(self, *, created: int, changed: int, left_out: Iterable[int]) -> Self:
        """Count what a page has changed. Whoever reads the page again finds that done, and leaves out the same."""
        return replace(
            self,
            created=self.created + created,
            changed=self.changed + changed,
            left_out=tuple(sorted({*self.left_out, *left_out})),
        )

    def after_look(self, found: Found, *, through: int) -> Self:
        """Count what the first look has found, up to the id `through`."""
        return replace(
            self,
            living=self.living + found.living,
            missing=self.missing + found.missing,
            proven=self.proven + found.proven,
            is_of_part=self.is_of_part or found.beyond > 0,
            compared_through=through,
        )

    def after_portion(self, pages: int, *, through: int | None) -> Self:
        """Go on to the next pages."""
        return replace(self, compared_pages=self.compared_pages + pages, compared_through=through)

    def allow(self, deletions: int) -> Self:
        """Begin the second look, in which so many records may be deleted without proof."""
        return replace(self, may_delete=deletions, compared_pages=0, compared_through=None)

    def after_deletion(self, deleted: int, *, unproven: int, withheld: int, through: int) -> Self:
        """Count records that the export did not see; the copy is compared up to the id `through` now."""
        return replace(
            self,
            deleted=self.deleted + deleted,
            may_delete=(self.may_delete or 0) - unproven,
            withheld=self.withheld + withheld,
            compared_through=through,
        )

    def end_comparison(self) -> Self:
        """Look no further."""
        return replace(self, is_compared=True)

    def withhold_all(self) -> Self:
        """Look no further: what is missing says nothing, not even that it was missed before."""
        return replace(self.end_comparison(), withheld=self.missing + self.proven)

    def start_over(self) -> Self:
        """Begin again at the first page; what was changed in the copy stays changed, and counted."""
        return replace(self, **AT_START)

    def changes(self, *, seen: int) -> Changes:
        """Sum up for an export that has seen so many records."""
        unchanged = max(0, seen - len(self.left_out) - self.created - self.changed)
        return Changes(
            created=self.created,
            changed=self.changed,
            unchanged=unchanged,
            deleted=self.deleted,
            withheld=self.withheld,
        )


AT_START: Mapping[str, Any] = {
    each.name: each.default
    for each in fields(CopyProgress)
    if each.name not in {"mode", "feed_since", "full_because", "created", "changed", "deleted", "confirms_deletions"}
}
"""What an export knows of its pages and of its comparison before its first page: all but how it reads, and what it has
changed in the copy."""
