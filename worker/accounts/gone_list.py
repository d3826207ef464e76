"""GoneList: what HubSpot said of an account's legacy list that it no longer serves. A pure value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.records.types import ExportType

LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneList:
    """HubSpot answered 404 or 410 for this list of this account: first at `since`, last at `last_seen_at`.

    One such answer is a sighting, and may be a passing state of HubSpot. Only when a later one confirms it is the list
    remembered as gone, from `remembered_at` on: then jobs begin with the dated API. `status` and `message` are those of
    the last answer. All instants are those of the database's clock. What was said of the list of one portal, `hub_id`,
    says nothing of another one's; None: HubSpot had not told which portal it was.
    """

    account_id: str
    export_type: ExportType
    since: datetime
    last_seen_at: datetime
    remembered_at: datetime | None
    status: int | None
    message: str
    hub_id: int | None = None

    def is_of(self, hub_id: int | None) -> bool:
        """Whether it is of this portal, as far as is known."""
        return None in {hub_id, self.hub_id} or hub_id == self.hub_id

    @property
    def is_remembered(self) -> bool:
        """Whether jobs begin with the dated API."""
        return self.remembered_at is not None

    @property
    def is_new(self) -> bool:
        """Whether it is the last sighting that had the list remembered."""
        return self.remembered_at == self.last_seen_at
