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
from worker.records.types import DOCUMENTED_TYPES


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether only a retry changes it."""
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
    """The queues in which an account's jobs wait for a worker, each in the order of readiness."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    SYNC = "sync"


class JobKind(StrEnum):
    """A single page that a caller waits for, an export of one type, or a sync with an export for each type."""

    PAGE = "page"
    EXPORT = "export"
    SYNC = "sync"

    @property
    def line(self) -> Line:
        return _LINES[self]


_LINES: Mapping[JobKind, Line] = MappingProxyType(
    {JobKind.PAGE: Line.INTERACTIVE, JobKind.EXPORT: Line.BULK, JobKind.SYNC: Line.SYNC}
)


JOB_TYPES = (*(each for each in DOCUMENTED_TYPES), JobKind.SYNC.value)
"""The words that jobs are listed under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotAnswer:
    """HubSpot's error: the HTTP status (None: no answer came) and its own body."""

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
        """Return what a client may know of an error; with `at`, also when a retry is worth while."""
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
