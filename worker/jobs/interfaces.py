"""The store of jobs, in parts by who needs them. Every method raises StoreUnavailableError when MongoDB is away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job, JobSortKey
from worker.jobs.lease_interfaces import JobLeases, JobOutbox
from worker.jobs.status import JobStatus
from worker.records.types import ExportType


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """A page of an account's jobs, newest first, of these statuses and types; an empty set: of all.

    `types` are names, or JOB_TYPES where there are none; `has_custom`: and all custom objects. `after` is the sort key
    of the last job of the page before.
    """

    account_id: str
    statuses: frozenset[JobStatus] = frozenset()
    types: frozenset[str] = frozenset()
    has_custom: bool = False
    after: JobSortKey | None = None
    limit: int


class JobRepository(Protocol):
    """Jobs, the one truth about their state."""

    def add(self, job: Job) -> None:
        """Store a new job durably. Adding it again changes nothing."""

    def add_all(self, jobs: Sequence[Job]) -> None:
        """Store new jobs as `add` does, in one call."""

    def insert_all(self, jobs: Sequence[Job], *, at: datetime) -> Collection[str]:
        """Store new jobs as `add` does, and return the ids of those that could not be stored, or not like this.

        `at` is an instant of the server's clock, not in its future: they count as ready and published since then.
        """

    def get(self, job_id: str, *, account_id: str) -> Job:
        """Raise JobNotFoundError for an unknown job and for another account's alike."""

    def find(self, job_id: str) -> Job | None:
        """Return any account's job, to a worker; None when it is gone."""

    def newest(self, wanted: JobQuery) -> list[Job]:
        """List jobs, without those that were removed or have expired."""

    def states_of(self, job_ids: Collection[str]) -> Mapping[str, JobStatus]:
        """Return the stored states of these jobs, without those that are gone."""

    def change(self, before: Job, after: Job) -> bool:
        """Replace the state of a job that is not leased; False, with nothing written, when it is not as `before`."""

    def request_cancel(self, job: Job) -> bool:
        """Ask the holder of the lease to stop at the next page; False when nobody holds it."""

    def record_portal(self, job_id: str, hub_id: int) -> int | None:
        """Record which HubSpot portal a job is of, unless that is known, and return what is known then.

        None when the job is gone.
        """


class JobCounts(Protocol):
    """Which jobs exist, how many an account has open, and how much it stores."""

    def stored_among(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs exist in whatever state, including those that are being removed."""

    def unfinished_among(self, job_ids: Collection[str]) -> set[str]:
        """Return which of these jobs exist and are not finished."""

    def count_open(self, account_id: str, *, most: int) -> int:
        """Count the account's unfinished jobs, a sync as one, up to `most`."""

    def stored_bytes_of(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """Return the bytes that the pages of finished jobs hold, by account, without those that have none."""


class JobHistory(Protocol):
    """Earlier exports of a type."""

    def last_complete(
        self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None = None
    ) -> Job | None:
        """Return the export of all records of the type, not of archived ones, that ended last with a complete receipt.

        With a `hub_id` none that is known to be of another HubSpot portal.
        """

    def last_complete_of_each(
        self, account_id: str, owner: str, types: Collection[ExportType], *, hub_id: int | None = None
    ) -> Mapping[ExportType, Job]:
        """Return what `last_complete` does for each of these types, without those that have none."""


class SyncStore(Protocol):
    """Syncs and their children, which are written one document at a time."""

    def decide_types(self, sync: Job, types: Sequence[ExportType]) -> bool:
        """Store which types a sync of all types has, before it is expanded.

        False when it has changed meanwhile, or its types are decided.
        """

    def expand(self, sync: Job, children: Sequence[Job]) -> bool:
        """Store those children of a sync that do not exist yet, then mark the sync as expanded.

        False when the sync has changed meanwhile; children that were stored by then find out that they are left over.
        """

    def children_of(self, syncs: Sequence[Job]) -> list[Job]:
        """Return the children of these syncs, unordered; a sync that is not expanded has none."""

    def note_start(self, child: Job, *, at: datetime) -> Job | None:
        """Set the sync of a child to running, and return it; None when it is gone."""

    def follow(self, sync_id: str, *, is_swept: bool = False) -> Job | None:
        """Derive a sync from its children, store it where its status changes, and return it; None when it is gone.

        To be called after each change of a child's state. A child that has ended stays marked until the sync has its
        expiry, or until a sweep, whose calls are `is_swept`, has derived it.
        """

    def take_unfollowed(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Return children that ended, and syncs that were reopened, whose sync was not derived for `quiet_s` seconds.

        They are taken: the next call returns them after another `quiet_s` seconds, if they are still marked.
        """

    def reopen(self, sync: Job) -> None:
        """Take the end and the expiry of a sync back, and mark it, since its children are about to be requeued."""

    def end_sync(self, sync: Job, *, at: datetime) -> bool:
        """Set one expiry for a finished sync and its children; False when it has changed, or has another expiry."""


class JobRemoval(Protocol):
    """The removal of jobs, which takes more than one step."""

    def start_removal(self, job: Job) -> bool:
        """Hide a job from everyone at once; False when it has changed. Its pages have to be removed next.

        The children of a sync are hidden with it, except leased ones: their holders find out that they are left over.
        """

    def finish_removal(self, job_id: str) -> None:
        """Delete a hidden job, once its pages are gone."""

    def take_interrupted(self, *, quiet_s: float, limit: int) -> tuple[list[str], list[Job]]:
        """Return what was left half done for `quiet_s` seconds: hidden jobs, and finished jobs without an expiry.

        The hidden ones are ids, children before their sync. A child counts only while it lacks a receipt, since its
        expiry comes with that of its sync. They are taken as `take_unfollowed` does.
        """


class JobStore(JobRepository, JobCounts, JobHistory, JobLeases, JobOutbox, SyncStore, JobRemoval, Protocol):
    """All parts, for those that need most of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJobs:
    """How many open jobs of one status, type and kind there are, each field as it is stored, and the oldest ages.

    `due` of them could be claimed now, the first of them for `due_for_s`. The oldest was started `running_for_s` ago;
    the quietest got its last page or change of state `quiet_for_s` ago. None: there is none.
    """

    status: str
    type: str
    kind: str
    jobs: int
    due: int = 0
    due_for_s: float | None = None
    running_for_s: float | None = None
    quiet_for_s: float | None = None


class OpenJobCounter(Protocol):
    """What operators ask of all jobs together."""

    def open_jobs(self) -> list[OpenJobs]:
        """Count the jobs that are not finished, at a cost proportional to their number."""
