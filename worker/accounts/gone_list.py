"""GoneList: a legacy list that HubSpot no longer serves to an account. A pure value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.records.types import ExportType

LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneList:
    """HubSpot answered 404 or 410 for this list of this account: first at `since`, last at `last_seen_at`.

    A single such answer may be a transient state of HubSpot. Only when a later one confirms it is the list remembered
    as gone, from `remembered_at` on: then jobs start with the dated API. `status` and `message` are those of the last
    answer. Instants are of the database's clock. It holds for the portal `hub_id` only; None: no portal was known.
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
        """Whether it is of this portal; an unknown portal matches any."""
        return None in {hub_id, self.hub_id} or hub_id == self.hub_id

    @property
    def is_remembered(self) -> bool:
        return self.remembered_at is not None

    @property
    def is_new(self) -> bool:
        """Whether the last answer is the one that confirmed it."""
        return self.remembered_at == self.last_seen_at
