"""AccountTurn: what a message asks for, one slice of an account; DueJob: a job that a message is missing for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.jobs import JobKind, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTurn:
    """A turn of an account in one of its lines, published at the instant `as_of` of the database's clock.

    It is good for one job that was ready by then, so that a message too many finds nothing. None: published while the
    database could not be asked; any job that is ready will do.
    """

    account_id: str
    line: Line
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """A job that a message has to be published for, as far as a sweep has to know it."""

    job_id: str
    account_id: str
    line: Line

    @property
    def is_sync(self) -> bool:
        """Whether it is started by its id instead of by a turn of its account."""
        return self.line is JobKind.SYNC.line
