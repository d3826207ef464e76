"""RecordService: the current copy as the routes read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import Caller
from worker.accounts.portal_interfaces import PresentPortals
from worker.current_copy.eraser import Eraser
from worker.current_copy.interfaces import RecordStore
from worker.current_copy.record import CopiedRecord, Place, Shown
from worker.errors import PortalChangedError
from worker.records.types import CopyId, ExportType

FROM_THE_START = "Read the list from its start, without a cursor"
_ERASE_WITHIN_S = 1.5  # most records lie in few pages; a client is answered within 3 s


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordService:
    """The shim's way to the current copy. The store blocks, so it is called in threads."""

    records: RecordStore
    eraser: Eraser
    portals: PresentPortals

    async def copy_of(self, caller: Caller, export_type: ExportType) -> CopyId:
        """Give the copy of the portal that is connected; while nobody has told which that is, of the last one."""
        hub_id = await run_in_threadpool(self.portals.present, caller.account_id, caller.uid)
        return CopyId(account_id=caller.account_id, export_type=export_type, hub_id=hub_id)

    async def require_its(self, copy: CopyId, *, hub_id: int | None) -> None:
        """Raise PortalChangedError where a cursor that names this portal cannot lead on in a copy.

        Those of older versions name none: they are of the account's first copy.
        """
        if hub_id is None and copy.hub_id is not None:
            hub_id = await run_in_threadpool(self.records.first_portal, copy)
        if copy.hub_id is not None and hub_id not in {None, copy.hub_id}:
            raise PortalChangedError("The cursor", hub_id=hub_id, connected=copy.hub_id, remedy=FROM_THE_START)

    async def find(self, copy: CopyId, record_id: int) -> CopiedRecord:
        """Read one record, deleted or not. Raises RecordNotFoundError."""
        return await run_in_threadpool(self.records.find, copy, record_id)

    async def read(
        self, copy: CopyId, *, shown: Shown, since: datetime | None, after: Place | None, limit: int
    ) -> list[CopiedRecord]:
        """Read on in the order of change."""
        return await run_in_threadpool(self.records.read, copy, shown=shown, since=since, after=after, limit=limit)

    async def erase(self, copy: CopyId, record_id: int, caller: Caller) -> bool:
        """Forget a record; False when it is written down and the rest takes longer than a caller should wait."""
        return await run_in_threadpool(
            self.eraser.erase, copy, record_id, requested_by=caller.uid, within_s=_ERASE_WITHIN_S
        )
