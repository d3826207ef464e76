"""InMemoryGoneListStore: which legacy lists are gone, by a clock that a test moves; it may be away."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

from tests.fakes.clock import ManualClock
from worker.accounts.gone_list import LONGEST_MESSAGE, GoneList
from worker.errors import StoreUnavailableError
from worker.records.types import ExportType


class InMemoryGoneListStore:
    """GoneListStore. `reads` counts how often one list of one account was looked up."""

    def __init__(self, clock: ManualClock) -> None:
        self.is_away = False
        self.reads = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: dict[tuple[str, ExportType], GoneList] = {}

    def find(self, account_id: str, export_type: ExportType) -> GoneList | None:
        self._answer()
        self.reads += 1
        return self._stored.get((account_id, export_type))

    def sight(
        self, account_id: str, export_type: ExportType, *, status: int | None, message: str, hub_id: int | None = None
    ) -> GoneList:
        self._answer()
        now = self._clock()
        with self._lock:
            known = self._stored.get((account_id, export_type))
            known = known if known is not None and known.is_of(hub_id) else None
            sighted = GoneList(
                account_id=account_id,
                export_type=export_type,
                since=known.since if known is not None else now,
                last_seen_at=now,
                remembered_at=known.remembered_at if known is not None else None,
                status=status,
                message=message[:LONGEST_MESSAGE],
                hub_id=hub_id if hub_id is not None or known is None else known.hub_id,
            )
            if known is not None and not known.is_remembered and now - known.since >= timedelta(minutes=1):
                sighted = replace(sighted, remembered_at=now)
            self._stored[account_id, export_type] = sighted
        return sighted

    def retract(self, sighting: GoneList) -> None:
        self._answer()
        with self._lock:
            known = self._stored.get((sighting.account_id, sighting.export_type))
            if known is not None and not known.is_remembered:
                del self._stored[sighting.account_id, sighting.export_type]

    def remembered(self, account_id: str) -> list[GoneList]:
        self._answer()
        found = [each for each in self._stored.values() if each.account_id == account_id and each.is_remembered]
        return sorted(found, key=lambda each: each.export_type)

    def remembered_first(self, *, most: int) -> list[GoneList]:
        self._answer()
        found = [each for each in self._stored.values() if each.is_remembered]
        return sorted(found, key=lambda each: each.remembered_at or each.since)[:most]

    def forget(self, account_id: str) -> None:
        self._answer()
        with self._lock:
            self._stored = {key: each for key, each in self._stored.items() if each.account_id != account_id}

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError
