"""CopyUpkeep: removes copies of disconnected portals, and migrates records of older versions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.accounts.portal_interfaces import PortalStore
from worker.current_copy.interfaces import RecordStore
from worker.records.types import DOCUMENTED_TYPES, CopyId

_log = structlog.get_logger()

_MOST_AT_ONCE = 1000
_WORK_S = 5.0
_MOST_REMOVALS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyUpkeep:
    """Works in small batches. Several processes may do so at once and die at any moment: what is done stays done."""

    records: RecordStore
    portals: PortalStore
    monotonic: Callable[[], float] = time.monotonic

    def remove(self, account_id: str, hub_id: int, *, within_s: float) -> bool:
        """Remove the copies of a portal that is marked for removal; False: the sweeper does the rest.

        Raises StoreUnavailableError.
        """
        return self._remove(account_id, hub_id, ends_at=self.monotonic() + within_s)

    def recover_interrupted(self) -> None:
        """Continue removals and the migration for some seconds. Raises StoreUnavailableError."""
        ends_at = self.monotonic() + _WORK_S
        for account_id, hub_id in self.portals.removals(limit=_MOST_REMOVALS):
            if not self._remove(account_id, hub_id, ends_at=ends_at):
                return
        while self.monotonic() < ends_at and self.records.adopt_some(most=_MOST_AT_ONCE):
            pass

    def _remove(self, account_id: str, hub_id: int, *, ends_at: float) -> bool:
        # Documents of copies have named their type for long, but not for ever.
        for export_type in dict.fromkeys((*DOCUMENTED_TYPES, *self.records.types_of(account_id, hub_id))):
            copy = CopyId(account_id=account_id, export_type=export_type, hub_id=hub_id)
            while not self.records.remove_some(copy, most=_MOST_AT_ONCE):
                if self.monotonic() >= ends_at:
                    return False
        self.portals.finish_removal(account_id, hub_id)
        _log.info("portal_removed", account_id=account_id, hub_id=hub_id)
        return True
