"""RecordService: reads the current copy, and erases from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api_shim.auth.jwt import Caller
from worker.accounts.portal_interfaces import PresentPortals
from worker.current_copy.eraser import Eraser
from worker.current_copy.interfaces import RecordStore
from worker.current_copy.record import ChangePosition, CopiedRecord, Shown
from worker.errors import PortalChangedError
from worker.records.types import CopyId, ExportType

FROM_THE_START = "Read the list from its start, without a cursor"
_ERASE_WITHIN_S = 1.5  # most records lie in few pages; a client is answered within 3 s


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordService:
    """The current copy, for routes that run in a thread: every method blocks."""

    records: RecordStore
    eraser: Eraser
    portals: PresentPortals

    def copy_of(self, caller: Caller, export_type: ExportType) -> CopyId:
        """Return the copy of the connected portal; where that is not known, of the one connected last."""
        hub_id = self.portals.present(caller.account_id, caller.uid)
        return CopyId(account_id=caller.account_id, export_type=export_type, hub_id=hub_id)

    def require_same_portal(self, copy: CopyId, *, hub_id: int | None) -> None:
        """Raise PortalChangedError for a cursor of another portal's copy.

        Cursors of older versions name no portal: they belong to the account's first copy.
        """
        if hub_id is None and copy.hub_id is not None:
            hub_id = self.records.first_portal(copy)
        if copy.hub_id is not None and hub_id not in {None, copy.hub_id}:
            raise PortalChangedError("The cursor", hub_id=hub_id, connected=copy.hub_id, remedy=FROM_THE_START)

    def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        """Return one record, deleted or not. Raises RecordNotFoundError."""
        return self.records.find(copy, record_id)

    def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: ChangePosition | None, limit: int
    ) -> list[CopiedRecord]:
        """Return records in the order of their last change."""
        return self.records.read(copy, shown=shown, since=since, after=after, limit=limit)

    def erase(self, copy: CopyId, record_id: int, caller: Caller) -> bool:
        """Erase a record; False when the erasure is stored but takes longer than a caller should wait."""
        return self.eraser.erase(copy, record_id, requested_by=caller.uid, within_s=_ERASE_WITHIN_S)
