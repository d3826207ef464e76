"""What a job was requested to do, and where the request came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from worker.jobs.copy_progress import SyncMode
from worker.records.crm_api import CrmApi
from worker.records.types import ExportType, Offset, is_start


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """The request of an export.

    `limit` is the most records in all (None: all of them), `page_size` the most records a call asks for (0: a sync,
    which makes none), `offset` where to start (None: at the start), `params` further query parameters for HubSpot in
    their order, with repetitions. `properties` are names, or `*` for all that HubSpot defines when the job begins
    (None: those that the endpoint's address names, or HubSpot's few default ones); `history` those of which all values
    are wanted, not only the present one. `associations` are types. `archived`: what was deleted, not what is there.
    `api` is the one to be read, whatever the setting says.
    """

    limit: int | None = None
    page_size: int
    offset: Offset | None = None
    params: tuple[tuple[str, str], ...] = ()
    properties: tuple[str, ...] | None = None
    associations: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    archived: bool = False
    api: CrmApi | None = None

    @property
    def properties_key(self) -> str | None:
        """A short text that is another one where others are asked for by name; None where none are."""
        if self.properties is None:
            return None
        return sha256("\n".join(sorted({*self.properties})).encode()).hexdigest()[:16]

    @property
    def is_from_start(self) -> bool:
        return is_start(self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """The request of a sync, by a schedule for one of its instants, or by a caller: then both are None.

    `properties` are those of a type's export, as in ExportRequest.
    `full_every`: an incremental one reads all records of a type where no sync has for so long, as `7d`.
    `confirm_deletions`: the caller confirms that records which HubSpot's lists lack are deleted.
    """

    types: tuple[ExportType, ...]
    properties: Mapping[ExportType, tuple[str, ...]] = field(default_factory=dict)
    mode: SyncMode = SyncMode.FULL
    full_every: str | None = None
    confirm_deletions: bool = False
    schedule_id: str | None = None
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The HTTP request that a job came from: its id in logs, and its span (W3C `traceparent`)."""

    request_id: str | None = None
    traceparent: str | None = None
