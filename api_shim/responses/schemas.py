"""Response schemas (pydantic); that of the job is in `worker.jobs.view`."""

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
    """`true` and the cursor of the next page, or `null` and `null`."""

    hasMore: Literal[True] | None  # noqa: N815 - the documented spelling
    cursor: str | None

    @classmethod
    def to(cls, cursor: str | None) -> Self:
        """None: there is no next page."""
        return cls(hasMore=True if cursor is not None else None, cursor=cursor)


class JobListAnswer(BaseModel):
    """Jobs, newest first."""

    success: Literal[True] = True
    message: str = "Jobs found"
    data: list[JobView]
    pagination: ListPagination


class Pagination(BaseModel):
    """The normalised cursor: `true` and the next offset, or `null`."""

    hasMore: Literal[True] | None  # noqa: N815 - the documented spelling
    offset: int | str | None


class PageAnswer(BaseModel):
    """One page. `data` is HubSpot's own body, or has the same keys."""

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
    """A record of the current copy: `record` is HubSpot's own, the instants are those of the copy.

    Of an erased record only the instants remain: its `record` is null.
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
    """Whether there is more now, and the cursor to continue from; it is set even if there is no more yet."""

    hasMore: Literal[True] | None  # noqa: N815 - the documented spelling
    cursor: str | None


class RecordListAnswer(BaseModel):
    """Records in the order of their last change."""

    success: Literal[True] = True
    message: Literal["Records found"] = "Records found"
    data: list[CopiedRecordView]
    pagination: ChangesPagination


class ErasureAnswer(BaseModel):
    """An erasure that is stored and in progress."""

    success: Literal[True] = True
    message: Literal["Erasure accepted"] = "Erasure accepted"
