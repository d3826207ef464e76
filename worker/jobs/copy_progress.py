"""CopyProgress: how far a sync's export has updated the current copy to what it read from HubSpot; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from worker.jobs.intervals import interval
from worker.jobs.syncs_before import DELETIONS_FORGOTTEN, REACHES, SyncsBefore
from worker.records.conversion import convert
from worker.records.crm_api import CrmApi
from worker.records.types import Offset

OVERLAP = timedelta(minutes=10)  # for changes that HubSpot lists late, and for clocks that differ


class SyncMode(StrEnum):
    """How a sync finds changes: it reads all records, or HubSpot's feed of what has changed since the last sync."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The changes that an export has found, compared with the copy as it was.

    A deleted record that is back counts as created: the live records are those before, plus the created, minus the
    deleted ones. `withheld` ones were not found either, but stay alive until there is proof.
    """

    created: int
    changed: int
    unchanged: int
    deleted: int
    withheld: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result of comparing some records of the copy with the pages: the live ones, and those the pages lack.

    The `proven` ones were missing in an earlier sync too. Those `beyond` are of a kind that the list cannot hold.
    """

    living: int = 0
    missing: int = 0
    proven: int = 0
    beyond: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProgress:
    """What an export has done to the copy, stored with each change of it; field names are the stored names.

    No page was requested before `since`, an instant of the database's clock. `left_out` are the ids of records that
    were being erased. Once all pages are stored, the copy is compared with them in the order of ids: so far with
    `compared_pages` of them, and in the copy up to the id `compared_through`. At the end it `is_compared`; until then
    the export cannot prove that it has seen all records.

    The comparison takes two passes. The first only counts: the `living` records, and those that the pages lack, either
    `proven`, which were missing in an earlier sync too, or newly `missing`; `is_of_part` tells that the copy has
    records that the list cannot hold. That decides how many `may_delete` without proof, all of the missing ones or
    none. The second pass marks as deleted, or counts as `withheld`; it is skipped where there is nothing to do.
    `confirms_deletions`: a caller has said that whatever is missing is gone.

    An export in the mode `incremental` decides when it begins: it reads the feed of what has changed since
    `feed_since`, where `feed_total` is what HubSpot last counted, or all records, with the reason in `full_because`.
    All are read as well where no sync has read all for `full_every`, as `7d`. `feed_left_out` are lists of several that
    the sync before could not read; `feed_deletions_told` is when the last one before began that was told of all
    deletions.

    Where the API tells of deletions, its list of archived records is read once all pages of the feed are stored: so far
    up to `archived_after`, until the `archive_is_read`. `deletions_unknown` says why HubSpot did not tell of some.
    """

    mode: SyncMode = SyncMode.FULL
    full_every: str | None = None
    feed_since: datetime | None = None
    feed_left_out: tuple[str, ...] = ()
    feed_deletions_told: datetime | None = None
    feed_total: int | None = None
    full_because: str | None = None
    archived_after: Offset | None = None
    archive_is_read: bool = False
    deletions_unknown: str | None = None
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
        """Convert a stored document. Raises ValueError."""
        return convert(stored, cls)

    @property
    def reads_feed(self) -> bool:
        """Whether a feed is read instead of the list of all records."""
        return self.feed_since is not None

    @property
    def mode_used(self) -> SyncMode | None:
        """How the export finds changes; None before that is decided."""
        if self.mode is SyncMode.FULL or self.full_because is not None:
            return SyncMode.FULL
        return SyncMode.INCREMENTAL if self.reads_feed else None

    def decide(self, before: SyncsBefore, *, api: CrmApi, at: datetime, properties: str | None = None) -> Self:
        """Choose between the feed of an API and its list of all records, for an export of such properties."""
        if before.last is None:
            return replace(self, full_because="no sync has seen all records yet")
        if before.properties != properties:
            return replace(self, full_because="the last complete sync asked for other properties")
        if self.full_every is not None and not before.has_full_within(interval(self.full_every), at=at):
            asked = f"no full sync has begun within the last {self.full_every}, as full_every asks"
            return replace(self, full_because=asked)
        decided = replace(
            self,
            feed_since=before.last - OVERLAP,
            feed_left_out=before.left_out,
            feed_deletions_told=before.deletions_told,
        )
        because = decided.unusable_because(api=api, at=at)
        return decided if because is None else self.read_all(because)

    def unusable_because(self, *, api: CrmApi, at: datetime) -> str | None:
        """Return why the API's feed does not tell of all since `feed_since`; None: it does."""
        if self.feed_since is None:
            return None
        if at - self.feed_since > REACHES[api].longest:
            return REACHES[api].otherwise
        told = self.feed_deletions_told
        if api is CrmApi.DATED and told is not None and at - told > REACHES[api].longest:
            return DELETIONS_FORGOTTEN
        if self.feed_left_out and api is CrmApi.LEGACY:  # which has one feed of them all
            return f"the last complete sync could not read {', '.join(self.feed_left_out)}"
        return None

    def after_archived(self, *, deleted: int, after: Offset | None, unknown: str | None = None) -> Self:
        """Count a page of the list of archived records; without `after` it was the last one."""
        reasons = dict.fromkeys(each for each in (self.deletions_unknown, unknown) if each is not None)
        return replace(
            self,
            deleted=self.deleted + deleted,
            archived_after=after,
            archive_is_read=after is None,
            deletions_unknown="; ".join(reasons) or None,
        )

    def read_all(self, because: str) -> Self:
        """Start over with the list of all records."""
        return replace(
            self.start_over(), feed_since=None, feed_left_out=(), feed_deletions_told=None, full_because=because
        )

    def deletions_told(self, since: datetime) -> datetime | None:
        """Return when the last sync began that was told of all deletions: this one, since then, or one before."""
        return since if self.archive_is_read and self.deletions_unknown is None else self.feed_deletions_told

    @property
    def is_comparing(self) -> bool:
        """Whether the comparison has begun."""
        return self.compared_pages > 0 or self.compared_through is not None or self.may_delete is not None

    def after_page(self, *, created: int, changed: int, left_out: Iterable[int]) -> Self:
        """Count a page's changes. Processing the page again finds nothing to change, and leaves out the same ids."""
        return replace(
            self,
            created=self.created + created,
            changed=self.changed + changed,
            left_out=tuple(sorted({*self.left_out, *left_out})),
        )

    def after_look(self, found: Found, *, through: int) -> Self:
        """Count a part of the first pass, up to the id `through`."""
        return replace(
            self,
            living=self.living + found.living,
            missing=self.missing + found.missing,
            proven=self.proven + found.proven,
            is_of_part=self.is_of_part or found.beyond > 0,
            compared_through=through,
        )

    def after_portion(self, pages: int, *, through: int | None) -> Self:
        return replace(self, compared_pages=self.compared_pages + pages, compared_through=through)

    def allow(self, deletions: int) -> Self:
        """Begin the second pass, which may delete so many records without proof."""
        return replace(self, may_delete=deletions, compared_pages=0, compared_through=None)

    def after_deletion(self, deleted: int, *, unproven: int, withheld: int, through: int) -> Self:
        """Count a part of the second pass, up to the id `through`."""
        return replace(
            self,
            deleted=self.deleted + deleted,
            may_delete=(self.may_delete or 0) - unproven,
            withheld=self.withheld + withheld,
            compared_through=through,
        )

    def end_comparison(self) -> Self:
        return replace(self, is_compared=True)

    def withhold_all(self) -> Self:
        """End the comparison, and withhold all deletions, proven ones too: this list proves nothing."""
        return replace(self.end_comparison(), withheld=self.missing + self.proven)

    def start_over(self) -> Self:
        """Start over at the first page; changes of the copy stay made, and counted."""
        return replace(self, **AT_START)

    def changes(self, *, seen: int) -> Changes:
        """Return the changes found by an export that has seen so many records."""
        unchanged = max(0, seen - len(self.left_out) - self.created - self.changed)
        return Changes(
            created=self.created,
            changed=self.changed,
            unchanged=unchanged,
            deleted=self.deleted,
            withheld=self.withheld,
        )


_KEPT = frozenset(
    {
        *("mode", "full_every", "feed_since", "feed_left_out", "feed_deletions_told", "full_because"),
        "confirms_deletions",
        *("created", "changed", "deleted"),
    }
)
AT_START: Mapping[str, Any] = {each.name: each.default for each in fields(CopyProgress) if each.name not in _KEPT}
"""The fields that starting over resets: all except how the export reads, and what it has changed in the copy."""
