"""AccountTurn: a message's request to run one slice for an account; DueJob, StoredJobs: jobs that need a message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.jobs.job import Job
from worker.jobs.status import JobKind, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTurn:
    """A turn of an account in one of its lines, published at the instant `as_of` of the database's clock.

    It is valid for one job that was ready at that instant, so that a superfluous message finds nothing. None: the
    database could not be asked at that time, and the turn is valid for any ready job.
    """

    account_id: str
    line: Line
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """What a sweep needs of a job to publish a message for it."""

    job_id: str
    account_id: str
    line: Line

    @property
    def is_sync(self) -> bool:
        """Whether it is started by its id instead of by a turn of the account."""
        return self.line is JobKind.SYNC.line


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJobs:
    """New jobs, and an instant of the database's clock by which all of them were stored."""

    jobs: tuple[Job, ...]
    as_of: datetime

    @property
    def turns(self) -> list[tuple[AccountTurn, Job]]:
        """Return one turn for each account and line, with the first of its jobs.

        One is enough: whoever takes a turn publishes another one for the account's next job.
        """
        first: dict[tuple[str, Line], Job] = {}
        for job in self.jobs:
            first.setdefault((job.account_id, job.line), job)
        return [
            (AccountTurn(account_id=account_id, line=line, as_of=self.as_of), job)
            for (account_id, line), job in first.items()
        ]
