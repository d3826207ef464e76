"""What the API answers, read into values; records stay HubSpot's bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from worker.pages import ExportType, Offset, split_records

# Half an emoji, as HubSpot sends it where text was cut, stops a strict reader. Replaced by as many bytes, in a copy.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_REPLACEMENT = rb"\\ufffd"
_LINE_BREAKS = b"\r\n"  # between the tokens of a record; inside its texts they are always escaped


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsPage:
    """Records of a job, each on one line, and where to go on."""

    records: list[bytes]
    has_more: bool
    offset: Offset | None


class _JobAnswer(msgspec.Struct):
    data: JobState


class _Cursor(msgspec.Struct):
    cursor: str | None


class _JobsAnswer(msgspec.Struct):
    data: list[msgspec.Raw]
    pagination: _Cursor


class _Pagination(msgspec.Struct):
    has_more: bool | None = msgspec.field(name="hasMore")
    offset: int | str | None


class _ResultsAnswer(msgspec.Struct):
    data: msgspec.Raw
    pagination: _Pagination


def read_job(content: bytes) -> JobState:
    """Read a job's answer. Raises msgspec.MsgspecError or UnicodeDecodeError when it is something else."""
    return msgspec.json.decode(content, type=_JobAnswer).data


def read_jobs(content: bytes) -> JobsPage:
    """Read a list of jobs. Raises as `read_job` does."""
    answer = msgspec.json.decode(content, type=_JobsAnswer)
    lines = [bytes(job).translate(None, _LINE_BREAKS) for job in answer.data]
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


def read_results(export_type: ExportType, content: bytes) -> ResultsPage:
    """Read the documented body. Raises msgspec.MsgspecError or ValueError when it is something else."""
    text = _SURROGATE.sub(_REPLACEMENT, content)
    answer = msgspec.json.decode(text, type=_ResultsAnswer)
    start = text.index(bytes(answer.data))
    data = content[start : start + len(bytes(answer.data))]
    return ResultsPage(
        records=[record.translate(None, _LINE_BREAKS) for record in split_records(export_type, data)],
        has_more=bool(answer.pagination.has_more),
        offset=answer.pagination.offset,
    )
