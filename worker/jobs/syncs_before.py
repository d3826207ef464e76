"""SyncsBefore: the syncs that an incremental one builds on, and how far back each API tells what has changed; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.records.crm_api import CrmApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How long ago the last complete sync may have begun for an API to tell all that has changed since."""

    longest: timedelta
    otherwise: str


REACHES: Mapping[CrmApi, Reach] = {
    # By HubSpot's clock, which may differ from ours.
    CrmApi.LEGACY: Reach(
        longest=timedelta(days=29),
        otherwise="the last complete sync began more than 29 days ago, and HubSpot's feeds end after 30",
    ),
    CrmApi.DATED: Reach(
        longest=timedelta(days=85),
        otherwise="the last complete sync began more than 85 days ago, and HubSpot tells of deletions for 90",
    ),
}

DELETIONS_FORGOTTEN = "deletions were last told more than 85 days ago, and HubSpot tells of them for 90"
"""Legacy feeds tell of none, and HubSpot may refuse its archived records for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncsBefore:
    """When the last complete sync of a type began, and the last one of them that was full; None: there was none.

    `left_out` are the lists of several that the last one could not read; `properties` is the key of those that it asked
    for. `deletions_told` is when the last one began that was told of all deletions, or saw them itself.
    """

    last: datetime | None = None
    last_full: datetime | None = None
    deletions_told: datetime | None = None
    left_out: tuple[str, ...] = ()
    properties: str | None = None

    def has_full_within(self, longest: timedelta, *, at: datetime) -> bool:
        return self.last_full is not None and at - self.last_full <= longest
