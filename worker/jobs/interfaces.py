"""The interfaces of the store of jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job, JobSortKey
from worker.jobs.status import JobStatus, Line
from worker.jobs.turn import AccountTurn, DueJob
from worker.records.types import CopyId, ExportType


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which of an account's jobs are wanted, newest first: of these statuses and types, or all where none is named.

    `types` are words of JOB_TYPES. `after` is the place of the last job that was given; what comes after it is older.
    """

    account_id: str
    statuses: frozenset[JobStatus] = frozenset()
    types: frozenset[str] = frozenset()
    after: JobSortKey | None = None
    limit: int


class JobStore(Protocol):
    """Jobs, the one truth about their state. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, job: Job) -> None:
        """Store a new job, durably. Adding the same job again changes nothing."""

    def add_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs as `add` does, all of them at once."""

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:
        """Store new jobs as `add` does, and return the ids of those that cannot be stored, or not like this.

        `at` is an instant of the server's clock, not later than now: they count as ready and published since then.
        """

    def stored_among(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs there are, in whatever state, those that are being removed included."""

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        """Say which of these are there and not finished."""

    def get(self, job_id: str, *, account_id: str) -> Job:
        """Raise JobNotFoundError for an unknown job and for another account's alike."""

    def find(self, job_id: str) -> Job | None:
        """Return a job, whoever's it is, to one who works on it; None when it is gone."""

    def newest(self, wanted: JobQuery) -> list[Job]:
        """List jobs, none that was removed or has expired."""

    def states_of(self, job_ids: Collection[str]) -> Mapping[str, JobStatus]:
        """Return the states of these jobs as they are stored, without those that are gone."""

    def count_open(self, account_id: str, *, most: int) -> int:
        """Return how many of the account's jobs are not finished, a sync counted as one; at most `most`."""

    def stored_bytes_of(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """Return how many bytes the pages of these accounts' finished jobs hold, by account; none where that is 0."""

    def change(self, before: Job, after: Job) -> bool:
        """Store what becomes of a job that no worker holds; False, with nothing written, when it has moved on."""

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store the children of a sync, those that are not there yet, and then that they are there.

        False when the sync has moved on. What was stored of its children by then finds out for itself.
        """

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        """Return the children of these syncs, in no order; a sync that is not expanded has none."""

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        """Note that a sync runs, as one of its children does, and return it; None when it is gone."""

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        """Store what the children of a sync make of it, where its status changes, and give it; None when it is gone.

        To be called after every change of a child's state. That one has ended stays noted until the sync has its end,
        or, as a call that `is_swept` is the repair of, has followed.
        """

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Return what was left unfollowed `quiet_s` seconds ago or earlier, to one who sees to it now.

        Children that have ended without their sync, and syncs that were opened and have followed nobody since.
        """

    def reopen(self, sync: Job) -> None:
        """Have a sync go on, with no end, and note that it has to follow the children that are about to."""

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        """Have a finished sync and its children removed at one instant; False when it has moved on, or has another."""

    def request_cancel(self, job: Job) -> bool:
        """Ask the worker that holds the job to stop at its next page; False when none holds it."""

    def start_removal(self, job: Job) -> bool:
        """Make a job unknown to everyone at once; False when it has moved on. Its pages have to be removed next.

        The children of a sync go with it, but for one that is held: that finds out for itself.
        """

    def finish_removal(self, job_id: str) -> None:
        """Forget a job whose removal was started, once its pages are gone."""

    def take_unsettled(self, *, quiet_s: float, limit: int) -> tuple[list[str], list[Job]]:
        """Return what was left half done `quiet_s` seconds ago or earlier, to one who does the rest now.

        Ids of jobs whose removal was started, their children before them, and jobs that were finished but have no end;
        a child only while it lacks a receipt, since its end comes with that of its sync.
        """

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        """Return the export of all records of the type that ended last, if its receipt says that it is complete.

        With a `hub_id` none that is known to be of another HubSpot portal.
        """

    def last_complete_of_each(
        self, account_id: str, owner: str, types: Collection[ExportType], *, hub_id: int | None = None
    ) -> Mapping[ExportType, Job]:
        """Return what `last_complete` does for each of these types, without those that have none."""

    def settle_portal(self, job_id: str, hub_id: int) -> int | None:
        """Note which HubSpot portal a job, mostly a sync, is of, unless that is known; give what is known then.

        None when the job is gone.
        """

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a job that is due and that nobody holds, with the next epoch; None when there is nothing to do.

        A sync is never claimed: it has no pages.
        """

    def now(self) -> datetime:
        """Return the present instant of the clock that decides what is due."""

    def has_turn(self, turn: AccountTurn, *, most: int) -> bool:
        """Return whether the turn may be taken.

        It may while fewer than `most` jobs of the account's line (0: no bound) are held, and none was claimed since the
        turn was published. Whoever claims one looks for the next after that, and again when its slice is over: no turn
        that is not taken is missed.
        """

    def claim_next(self, turn: AccountTurn, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Claim, as `claim` does, the job of the account's line that has been ready for longest.

        None when there is none that was ready when the turn was published.
        """

    def next_due(self, account_id: str, line: Line) -> Job | None:
        """Return the job of an account's line that has been ready for longest; None when none is."""

    def withdraw_claim(self, claimed: str | AccountTurn, *, worker: str) -> bool:
        """Undo a claim, of a job or by a turn, whose outcome this worker was never told; return whether there was one.

        The job is free at once, and no worker counts as lost. A claim under another name stays as it is.
        """

    def renew(self, job: Job, *, lease_s: float) -> None:
        """Have the lease last so long from now on. Raises LeaseLostError when the epoch is not the present one."""

    def checkpoint(self, job: Job, *, lease_s: float, unless_marked: bool = False) -> bool:
        """Store what the holder of the lease knows, renew the lease, and say whether the job is to be cancelled.

        Raises LeaseLostError when the epoch is not the present one, and where it is asked for ErasureAskedError, with
        nothing stored, when the lease is marked.
        """

    def mark_leases(self, copy: CopyId) -> None:
        """Mark the leases of all held jobs of this account and type; a mark goes with its lease. Idempotent."""

    def release(self, job: Job, *, resume_in_s: float | None = None) -> None:
        """Store what the holder knows and give the lease up; the job is due again in `resume_in_s` seconds, or now.

        A job that is to be cancelled is due at once. Raises LeaseLostError as `checkpoint` does.
        """

    def drop(self, job: Job) -> None:
        """Return the lease up without storing anything but one try more; the next sweep publishes it.

        Raises LeaseLostError as `checkpoint` does.
        """

    def mark_unpublished(self, jobs: Sequence[Job] | Sequence[DueJob]) -> None:
        """Note that no message was published for these jobs, so that the next sweep publishes it."""

    def mark_published(self, job: Job) -> None:
        """Note that a message was published for a job that is due, so that the next sweep leaves it alone."""

    def take_due(self, *, limit: int) -> list[DueJob]:
        """Return jobs that a message has to be published for, marked as published now.

        They have waited for an instant that has come, were held by a lease that has lapsed, or are noted as not
        published.
        """

    def take_lost(self, before: Mapping[Line, datetime], *, most: int, limit: int) -> list[DueJob]:
        """Return jobs whose message is lost, marked as published now: published `before` that, claimed by nobody.

        Jobs of an account that holds `most` jobs (0: no bound) in that line are left alone for a minute, those of one
        that has begun a job since then until a later mark: whoever begins one publishes for the next.
        """

    def oldest_queued_s(self, line: Line) -> float | None:
        """Return how long ago the oldest message was published that a job of the line waits for; None: none does."""

    def adopt(self) -> int:
        """Complete the open jobs that a process of an older version has stored; return their number."""

    def adopt_all(self) -> None:
        """Complete also the jobs that such a process has opened again or left half done. It reads all open jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJobs:
    """The open jobs of one status, type and kind, each as it is stored: how many, and the age of the most extreme.

    `due` of them could be taken now, for which the first of them has waited for `due_for_s`. The oldest was started
    `running_for_s` ago; the quietest has brought no page and changed no state for `quiet_for_s`. None: there is none.
    """

    status: str
    type: str
    kind: str
    jobs: int
    due: int = 0
    due_for_s: float | None = None
    running_for_s: float | None = None
    quiet_for_s: float | None = None


class JobCensus(Protocol):
    """What operators ask of all jobs together."""

    def open_jobs(self) -> list[OpenJobs]:
        """Count the jobs that are not finished; it costs what those cost. Raises StoreUnavailableError."""
