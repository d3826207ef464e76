"""What was asked for: an export or a sync, and where the request came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.jobs.copy_progress import SyncMode
from worker.records.types import ExportType, Offset, is_start


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What was asked for.

    `limit` is the most records in all (None: all of them), `page_size` the most records a call asks for (0: a sync,
    which makes none), `offset` where to start (None: at the start), `params` further query parameters for HubSpot, in
    order, repeats kept.
    """

    limit: int | None = None
    page_size: int
    offset: Offset | None = None
    params: tuple[tuple[str, str], ...] = ()

    @property
    def is_from_start(self) -> bool:
        """Whether no records before the first page were left out."""
        return is_start(self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What a sync was asked for: types and mode, and the schedule and its instant that asked; None: a caller did.

    `confirm_deletions`: the caller knows that whatever HubSpot's lists lack is gone.
    """

    types: tuple[ExportType, ...]
    mode: SyncMode = SyncMode.FULL
    confirm_deletions: bool = False
    schedule_id: str | None = None
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The request that a job came from: the id it goes by in logs, and its place in a trace (W3C `traceparent`)."""

    request_id: str | None = None
    traceparent: str | None = None
