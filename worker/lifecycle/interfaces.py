"""The interfaces of submission, planning and upkeep."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.jobs.estimate import Estimate
from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.lifecycle.idempotency import KeptRequest, KeyedRequest
from worker.records.types import ExportType

QUEUED_AFTER_S = 5.0
"""A message that is so old is suspected to be lost."""
UNFOLLOWED_AFTER_S, UNSETTLED_AFTER_S = 10.0, 60.0
"""How long a process has for the update of a sync from its child, and to finalise a job, before a sweep does it."""

PUBLISHING, CHORES = "publish", "chores"
"""The names of a sweep's two leases: for publishing, and for the chores beside it."""
ORPHANED_PAGES, ADOPTION = "orphaned pages", "adoption"
"""The leases of chores that are done once in some minutes: they expire then, instead of being released."""


class IdempotencyStore(Protocol):
    """Requests by their Idempotency-Key, each kept for a day from the first one on.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, asked: KeyedRequest) -> KeptRequest | None:
        """Return what was first asked under the key, be it the same or not; None when nothing was."""

    def keep(self, asked: KeyedRequest, *, job_id: str) -> KeptRequest:
        """Keep a request whose job will have this id, unless one is kept under the key; gives what is kept then."""

    def mark_accepted(self, asked: KeyedRequest) -> None:
        """Note that the job of the kept request was stored."""

    def keep_new(self, asked: Mapping[str, KeyedRequest], *, at: datetime) -> Collection[str]:
        """Keep requests, by the ids of their jobs, under those keys that are new; returns the ids of their jobs.

        `at` is an instant of the server's clock, from which they are kept for a day.
        """

    def mark_all_accepted(self, asked: Sequence[KeyedRequest]) -> None:
        """Note that the jobs of these kept requests were stored."""


class RecordCounter(Protocol):
    """HubSpot's own count of records."""

    def count(self, export_type: ExportType, access_token: SecretStr) -> int:
        """Do one call. Raises a HubSpotError."""


class Forecaster(Protocol):
    """Knows how much a job will bring."""

    def forecast(self, job: Job) -> Estimate | None:
        """Estimate a job that begins; None where nobody can say. It never raises."""


class UpkeepStore(Protocol):
    """The state that sweeps share. Every method raises StoreUnavailableError when MongoDB is away."""

    def acquire(self, chore: str, *, lease_s: float) -> str | None:
        """Lease a chore for so long and return the lease's name; None while another process holds it."""

    def extend(self, chore: str, holder: str, *, lease_s: float) -> bool:
        """Extend the lease to so long from now; False when another process holds it by now."""

    def release(self, chore: str, holder: str) -> None:
        """Release the lease."""

    def position(self, chore: str) -> str | None:
        """Return how far a chore that is done in parts has come."""

    def move(self, chore: str, position: str | None) -> None:
        """Note how far it has come; None: it begins again."""

    def next_mark(self, line: Line, *, every_s: float) -> datetime | None:
        """Return the present instant if a mark is to be sent now; None within `every_s` of the last one."""

    def note_mark(self, line: Line, sent_at: datetime) -> None:
        """Note that a mark has been delivered."""

    def delivered_until(self, line: Line, *, grace_s: float) -> datetime | None:
        """Return the instant of the last mark that was delivered at least `grace_s` ago; None before there is one.

        In that time every message that was delivered before the mark has led to its claim.
        """
