"""The parts of the store of jobs that decide who works on a job, and for which jobs a message has to be published.

All instants are of the database's clock. Every method raises StoreUnavailableError when MongoDB is away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn, DueJob
from worker.records.types import CopyId


class JobLeases(Protocol):
    """Leases of jobs.

    A holder writes under its epoch: when that is not the current one, the methods behind `withdraw_claim` raise
    LeaseLostError and write nothing.
    """

    def now(self) -> datetime:
        """Return the current instant of the clock that decides what is due."""

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a job that is due and free, with the next epoch; None when there is nothing to do.

        A sync is never claimed: it has no pages.
        """

    def claim_next(self, turn: AccountTurn, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Claim the job of the account's line that has been ready for longest.

        None when none was ready when the turn was published.
        """

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        """Return whether the turn may be taken.

        It may while fewer than `most` jobs of the line are leased (0: no limit) and none was claimed since the turn was
        published. Whoever claims a job publishes for the next one after that, and again when its slice is over, so a
        turn that is dropped misses no job.
        """

    def next_due(self, account_id: str, line: Line) -> Job | None:
        """Return the job of an account's line that has been ready for longest; None when none is."""

    def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
        """Undo a claim, of a job or by a turn, whose answer this worker never got; return whether there was one.

        The job is free at once, and no lease counts as abandoned. A claim by another worker stays.
        """

    def renew(self, job: Job, *, lease_s: float) -> None:
        """Extend the lease to so long from now."""

    def checkpoint(self, job: Job, *, lease_s: float, unless_marked: bool = False) -> bool:
        """Store the job's state, extend the lease, and return whether the job is to be cancelled.

        With `unless_marked` it raises ErasureAskedError, with nothing stored, when the lease is marked.
        """

    def record_selection(self, job: Job, *, lease_s: float) -> None:
        """Store the job's state as `checkpoint` does, and its selection, which no other write changes.

        Lists of jobs and earlier exports (`newest`, `last_complete`) come without it.
        """

    def mark_leases(self, copy: CopyId) -> None:
        """Mark the leases of all leased jobs of an account and type; a mark goes with its lease. Idempotent."""

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        """Store the job's state and end the lease; the job is due again in `resume_in_s` seconds, or now.

        A job that is to be cancelled is due at once.
        """

    def drop(self, job: Job) -> None:
        """End the lease without storing anything except one more try; the next sweep publishes the job."""


class JobOutbox(Protocol):
    """Jobs that a message has to be published for."""

    def now(self) -> datetime:
        """Return the current instant of the clock that decides what is due."""

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:
        """Note that no message was published for these jobs: the next sweep does it."""

    def mark_published(self, job: Job) -> None:
        """Note that a message was published for a job that is due: the next sweep leaves it alone."""

    def take_due(self, *, limit: int) -> list[DueJob]:
        """Return jobs that need a message, and mark them as published now.

        Their wait is over, their lease has expired, or they are marked as unpublished.
        """

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        """Return unclaimed jobs that were published `before` that: their message is lost. Mark them as published now.

        Jobs of an account that holds `most` leases in the line (0: no limit) are skipped for a minute, those of one
        that has claimed a job since then until a later mark: whoever claims a job publishes for the next.
        """

    def oldest_queued_s(self, line: Line) -> float | None:
        """Return the age of the oldest message that a job of the line waits for; None without one."""

    def adopt(self) -> int:
        """Complete the open jobs that an older version has stored; return their number."""

    def adopt_all(self) -> None:
        """Complete also the jobs that an older version has reopened or left half done, by reading all open jobs."""
