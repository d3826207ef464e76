"""The wire, outwards: what answers look like (pydantic); the job itself is in `worker.jobs.view`."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from worker.jobs.view import JobView


class JobAnswer(BaseModel):
    """The body of every answer that is a job."""

    success: Literal[True] = True
    message: str
    data: JobView
    warnings: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)


class ListPagination(BaseModel):
    """Where a list goes on: `true` and a cursor, or `null` and `null`."""

    hasMore: Literal[True] | None  # noqa: N815 - the documented spelling
    cursor: str | None

    @classmethod
    def to(cls, cursor: str | None) -> Self:
        """Go on at a cursor; None: there is no more."""
        return cls(hasMore=True if cursor is not None else None, cursor=cursor)


class JobListAnswer(BaseModel):
    """Jobs, newest first."""

    success: Literal[True] = True
    message: str = "Jobs found"
    data: list[JobView]
    pagination: ListPagination


class Pagination(BaseModel):
    """The normalised cursor: `true` or `null`, an offset or `null`."""

    hasMore: Literal[True] | None  # noqa: N815 - the documented spelling
    offset: int | str | None


class PageAnswer(BaseModel):
    """One page. `data` is HubSpot's body untouched, or has the same keys."""

    success: Literal[True] = True
    message: Literal["DATA Recieved"] = "DATA Recieved"
    data: dict[str, Any]
    pagination: Pagination


class HubSpotBody(BaseModel):
    """HubSpot's own body."""

    data: Any


class ErrorAnswer(BaseModel):
    """The body of every error; `details` and `response` where there is more to say."""

    success: Literal[False] = False
    errno: int
    message: str
    code: str
    details: str | None = None
    response: HubSpotBody | None = None


class CopiedRecordView(BaseModel):
    """A record of the current copy: `record` is HubSpot's own, the instants say what became of it here.

    Of an erased one only the instants are left: its `record` is null.
    """

    id: int
    type: str
    synced_at: datetime
    changed_at: datetime
    deleted_at: datetime | None
    erased_at: datetime | None = None
    sync_id: str
    record: Any = None


class RecordAnswer(BaseModel):
    """The body of an answer that is one record."""

    success: Literal[True] = True
    message: Literal["Record found"] = "Record found"
    data: CopiedRecordView


class ChangesPagination(BaseModel):
    """Whether there is more by now, and where to go on: also where there is none, since changes come later."""

    hasMore: Literal[True] | None  # noqa: N815 - the documented spelling
    cursor: str | None


class RecordListAnswer(BaseModel):
    """Records in the order of their last change."""

    success: Literal[True] = True
    message: Literal["Records found"] = "Records found"
    data: list[CopiedRecordView]
    pagination: ChangesPagination


class ErasureAnswer(BaseModel):
    """An erasure that is written down and under way."""

    success: Literal[True] = True
    message: Literal["Erasure accepted"] = "Erasure accepted"
