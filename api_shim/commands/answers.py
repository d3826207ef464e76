"""The API's answers, parsed into values."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from worker.records.page import on_one_line


class Progress(msgspec.Struct):
    """A job's progress."""

    pages: int
    records: int
    records_per_second: float | None


class JobError(msgspec.Struct):
    """Why a job failed."""

    code: str
    message: str


class JobState(msgspec.Struct):
    """The fields of a job that the commands use."""

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
        return self.status in {"succeeded", "failed", "cancelled"}


class Refusal(msgspec.Struct):
    """The body of every error."""

    message: str
    code: str | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """A page of a list: the items as JSON, each on one line, the next cursor, and whether there is more now."""

    lines: list[bytes]
    cursor: str | None
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionLines:
    """Definitions as JSON, each on one line; `refused`: HubSpot does not list the account's custom objects."""

    lines: list[bytes]
    refused: str | None = None

    def names(self) -> list[bytes]:
        return [msgspec.json.decode(line, type=_Named).name.encode() for line in self.lines]


class _Named(msgspec.Struct):
    name: str


class _DefinitionAnswer(msgspec.Struct):
    data: list[msgspec.Raw]


class _CustomObjects(msgspec.Struct):
    reason: str | None = None


class _Types(msgspec.Struct):
    types: list[msgspec.Raw]
    custom_objects: _CustomObjects


class _TypesAnswer(msgspec.Struct):
    data: _Types


class _JobAnswer(msgspec.Struct):
    data: JobState


class _Pagination(msgspec.Struct, rename="camel"):
    cursor: str | None
    has_more: bool | None


class _ListAnswer(msgspec.Struct):
    data: list[msgspec.Raw]
    pagination: _Pagination


def read_job(content: bytes) -> JobState:
    """Raise msgspec.MsgspecError or UnicodeDecodeError if the answer is not a job."""
    return msgspec.json.decode(content, type=_JobAnswer).data


def read_list(content: bytes) -> ListPage:
    """Raise as `read_job` does if the answer is not a list."""
    answer = msgspec.json.decode(content, type=_ListAnswer)
    lines, pagination = _on_lines(answer.data), answer.pagination
    return ListPage(lines=lines, cursor=pagination.cursor, has_more=bool(pagination.has_more))


def read_definitions(content: bytes) -> DefinitionLines:
    """Raise as `read_job` does if the answer is no list of definitions."""
    return DefinitionLines(lines=_on_lines(msgspec.json.decode(content, type=_DefinitionAnswer).data))


def read_types(content: bytes) -> DefinitionLines:
    """Raise as `read_job` does if the answer is no list of types."""
    found = msgspec.json.decode(content, type=_TypesAnswer).data
    return DefinitionLines(lines=_on_lines(found.types), refused=found.custom_objects.reason)


def _on_lines(items: list[msgspec.Raw]) -> list[bytes]:
    return [on_one_line(bytes(item)) for item in items]


def read_listed(job: bytes) -> JobState:
    """Read one item of a list of jobs. Raises as `read_job` does."""
    return msgspec.json.decode(job, type=JobState)


def read_refusal(content: bytes) -> Refusal | None:
    """Read an error's body; None if it is not one of this API, but a proxy's."""
    try:
        return msgspec.json.decode(content, type=Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
