"""The request of a job as JSON shows it (pydantic)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from operator import not_
from typing import Annotated

from pydantic import BaseModel, Field

from worker.jobs.copy_progress import SyncMode
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest
from worker.records.crm_api import CrmApi
from worker.records.types import ExportType, Offset


class JobRequestView(BaseModel):
    """The request of an export; from `properties` on only what was asked for."""

    limit: int | None
    page_size: int
    offset: Offset | None
    params: dict[str, str | list[str]]
    properties: Annotated[list[str], Field(exclude_if=not_)] = []
    associations: Annotated[list[str], Field(exclude_if=not_)] = []
    history: Annotated[list[str], Field(exclude_if=not_)] = []
    archived: Annotated[bool, Field(exclude_if=not_)] = False
    api: Annotated[CrmApi | None, Field(exclude_if=not_)] = None


class SyncRequestView(BaseModel):
    """The request of a sync, by a caller or by a schedule for one of its instants.

    `properties` by type, only where they were asked for. `types` are `*` until it is known which these are.
    """

    types: list[ExportType]
    properties: Annotated[dict[str, list[str]], Field(exclude_if=not_)] = {}
    mode: SyncMode
    confirm_deletions: bool
    schedule_id: str | None
    scheduled_for: datetime | None


def asked_view(job: Job) -> JobRequestView | SyncRequestView:
    sync = job.sync
    if sync is None:
        return request_view(job.request)
    return SyncRequestView(
        types=list(sync.types),
        properties=properties_view(sync.properties),
        mode=sync.mode,
        confirm_deletions=sync.confirm_deletions,
        schedule_id=sync.schedule_id,
        scheduled_for=sync.scheduled_for,
    )


def request_view(request: ExportRequest) -> JobRequestView:
    """Return the request; a repeated parameter becomes a list."""
    params: dict[str, str | list[str]] = {}
    for name, value in request.params:
        earlier = params.get(name)
        if earlier is None:
            params[name] = value
        else:
            params[name] = [*([earlier] if isinstance(earlier, str) else earlier), value]
    return JobRequestView(
        limit=request.limit,
        page_size=request.page_size,
        offset=request.offset,
        params=params,
        properties=list(request.properties or ()),
        associations=list(request.associations),
        history=list(request.history),
        archived=request.archived,
        api=request.api,
    )


def properties_view(properties: Mapping[ExportType, tuple[str, ...]]) -> dict[str, list[str]]:
    return {each: list(names) for each, names in properties.items()}
