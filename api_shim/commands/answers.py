"""What the API answers, read into values."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from worker.pages import on_one_line


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
class JobsPage:
    """Jobs as the API describes them, each on one line, and the cursor that leads on; None at the end."""

    jobs: list[bytes]
    cursor: str | None


class _JobAnswer(msgspec.Struct):
    data: JobState


class _Cursor(msgspec.Struct):
    cursor: str | None


class _JobsAnswer(msgspec.Struct):
    data: list[msgspec.Raw]
    pagination: _Cursor


def read_job(content: bytes) -> JobState:
    """Read a job's answer. Raises msgspec.MsgspecError or UnicodeDecodeError when it is something else."""
    return msgspec.json.decode(content, type=_JobAnswer).data


def read_jobs(content: bytes) -> JobsPage:
    """Read a list of jobs. Raises as `read_job` does."""
    answer = msgspec.json.decode(content, type=_JobsAnswer)
    lines = [on_one_line(bytes(job)) for job in answer.data]
    return JobsPage(jobs=lines, cursor=answer.pagination.cursor)


def read_listed(job: bytes) -> JobState:
    """Read a job out of a list. Raises as `read_job` does."""
    return msgspec.json.decode(job, type=JobState)


def read_refusal(content: bytes) -> Refusal | None:
    """Read an error's body; None when it is not one of ours, but a proxy's."""
    try:
        return msgspec.json.decode(content, type=Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
