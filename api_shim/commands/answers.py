"""What the API answers, read into values."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from worker.records.page import on_one_line


class Progress(msgspec.Struct):
    """How far a job has come."""

    pages: int
    records: int
    records_per_second: float | None


class JobError(msgspec.Struct):
    """Why a job failed."""

    code: str
    message: str


class JobState(msgspec.Struct):
    """What is read of a job."""

    job_id: str
    type: str
    status: str
    progress: Progress
    error: JobError | None = None
    reason: str | None = None
    resume_at: str | None = None
    created_at: str | None = None
    label: str | None = None

    @property
    def has_ended(self) -> bool:
        """Nothing more comes."""
        return self.status in {"succeeded", "failed", "cancelled"}


class Refusal(msgspec.Struct):
    """The body of every error."""

    message: str
    code: str | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """Some of a list as the API describes it, each on one line; where it goes on, and whether there is more by now."""

    lines: list[bytes]
    cursor: str | None
    has_more: bool


class _JobAnswer(msgspec.Struct):
    data: JobState


class _Pagination(msgspec.Struct, rename="camel"):
    cursor: str | None
    has_more: bool | None


class _ListAnswer(msgspec.Struct):
    data: list[msgspec.Raw]
    pagination: _Pagination


def read_job(content: bytes) -> JobState:
    """Read a job's answer. Raises msgspec.MsgspecError or UnicodeDecodeError when it is something else."""
    return msgspec.json.decode(content, type=_JobAnswer).data


def read_list(content: bytes) -> ListPage:
    """Read a list. Raises as `read_job` does."""
    answer = msgspec.json.decode(content, type=_ListAnswer)
    lines, pagination = [on_one_line(bytes(item)) for item in answer.data], answer.pagination
    return ListPage(lines=lines, cursor=pagination.cursor, has_more=bool(pagination.has_more))


def read_listed(job: bytes) -> JobState:
    """Read a job out of a list. Raises as `read_job` does."""
    return msgspec.json.decode(job, type=JobState)


def read_refusal(content: bytes) -> Refusal | None:
    """Read an error's body; None when it is not one of ours, but a proxy's."""
    try:
        return msgspec.json.decode(content, type=Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
