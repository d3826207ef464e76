"""RecordDesk: the current copy as the routes read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from api_shim.auth import Caller
from worker.copy_interfaces import RecordStore
from worker.eraser import Eraser
from worker.records import CopiedRecord, CopyId, Place, Shown

_ERASE_WITHIN_S = 1.5  # most records lie in few pages; a client is answered within 3 s


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDesk:
    """The shim's way to the current copy. The store blocks, so it is called in threads."""

    records: RecordStore
    eraser: Eraser

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
