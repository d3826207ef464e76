"""The states of a job, the legal changes between them, and why a job failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from worker.errors import (
    DailyLimitError,
    ExportError,
    HubSpotError,
    JsonValue,
    RetryableHubSpotError,
    TokenRefusedError,
    UnavailableError,
    WorkersLostError,
)
from worker.rate_limit.retry_after import until_next_quarter_s
from worker.records.types import ExportType


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Nothing happens any more unless someone asks for a retry."""
        return self in _TERMINAL


_MAY_PASS = (RetryableHubSpotError, TokenRefusedError, UnavailableError, WorkersLostError)
_TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
LEGAL_CHANGES: Mapping[JobStatus, frozenset[JobStatus]] = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
        JobStatus.RUNNING: _TERMINAL | {JobStatus.WAITING, JobStatus.RUNNING},
        JobStatus.WAITING: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
        JobStatus.SUCCEEDED: frozenset(),
        JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
        JobStatus.CANCELLED: frozenset({JobStatus.QUEUED}),
    }
)


class Line(StrEnum):
    """The lines in which an account's jobs wait for a worker."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    SYNC = "sync"


class JobKind(StrEnum):
    """How much a job brings: the page that a caller waits for, all of a type, or several types, a child for each."""

    PAGE = "page"
    EXPORT = "export"
    SYNC = "sync"

    @property
    def line(self) -> Line:
        """The line in which jobs of this kind wait."""
        return _LINES[self]


_LINES: Mapping[JobKind, Line] = MappingProxyType(
    {JobKind.PAGE: Line.INTERACTIVE, JobKind.EXPORT: Line.BULK, JobKind.SYNC: Line.SYNC}
)


JOB_TYPES = (*(each.value for each in ExportType), JobKind.SYNC.value)
"""What a job may be of, in the word that it is listed under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotAnswer:
    """What HubSpot said when it refused: the HTTP status (None: no answer came) and its own body."""

    status: int | None
    body: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed, in words for a client."""

    code: str
    message: str
    retryable: bool
    details: str | None = None
    hubspot: HubSpotAnswer | None = None
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: ExportError, *, at: datetime | None = None) -> Self:
        """Keep of an error what a client may know, and, where `at` is told, when it is worth asking again."""
        answer = HubSpotAnswer(status=error.status, body=error.body) if isinstance(error, HubSpotError) else None
        return cls(
            code=error.code,
            message=error.message,
            retryable=isinstance(error, _MAY_PASS),
            details=error.details,
            hubspot=answer,
            retry_after_s=_worth_asking_in_s(error, at),
        )


class IllegalChangeError(ExportError):
    """The job's state does not allow what was asked."""

    code = "conflict"


def _worth_asking_in_s(error: ExportError, at: datetime | None) -> float | None:
    if isinstance(error, DailyLimitError) and error.retry_after_s is None and at is not None:
        return until_next_quarter_s(at)
    return error.retry_after_s if isinstance(error, HubSpotError) else None
