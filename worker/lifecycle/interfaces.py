"""The interfaces of submission, planning and upkeep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.definitions.lists import Listed
from worker.jobs.estimate import Estimate
from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.lifecycle.idempotency import KeptRequest, KeyedRequest
from worker.rate_limit.permits import Permit, free_permit
from worker.records.types import ExportType

QUEUED_AFTER_S = 5.0
"""A message that is so old is suspected to be lost."""
UNFOLLOWED_AFTER_S, INTERRUPTED_AFTER_S = 10.0, 60.0
"""How long a process has for the update of a sync from its child, and to finalise a job, before a sweep does it."""

PUBLISHING, CHORES = "publish", "chores"
"""The names of a sweep's two leases: for publishing, and for the chores beside it."""
ORPHANED_PAGES, ADOPTION = "orphaned pages", "adoption"
"""The leases of chores that are done once in some minutes: they expire then, instead of being released."""


class IdempotencyStore(Protocol):
    """Requests by their Idempotency-Key, each stored for a day from the first one on.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, asked: KeyedRequest) -> KeptRequest | None:
        """Return the first request under the key, whether it is the same one or not; None without one."""

    def keep(self, asked: KeyedRequest, *, job_id: str) -> KeptRequest:
        """Store a request whose job will have this id, unless the key is taken; return what is stored then."""

    def mark_accepted(self, asked: KeyedRequest) -> None:
        """Mark the request: its job was stored."""

    def keep_new(self, asked: Mapping[str, KeyedRequest], *, at: datetime) -> Collection[str]:
        """Store those requests, by the ids of their jobs, whose keys are new; return the ids of their jobs.

        `at` is an instant of the server's clock, from which they are stored for a day.
        """

    def mark_all_accepted(self, asked: Sequence[KeyedRequest]) -> None:
        """Mark the requests: their jobs were stored."""


class RecordCounter(Protocol):
    def count(
        self, export_type: ExportType, access_token: SecretStr, *, permit: Callable[[], Permit] = free_permit
    ) -> int:
        """Return HubSpot's own count; each call takes a `permit`. Raises a HubSpotError, and what `permit` raises."""


class CustomObjects(Protocol):
    def custom_types(self, account_id: str, owner: str) -> Listed:
        """Return the custom objects that the account's portal defines, or why HubSpot does not tell.

        Raises a HubSpotError, NoPermitError, TokenNotFoundError, UnavailableError.
        """


class Forecaster(Protocol):
    def forecast(self, job: Job) -> Estimate | None:
        """Estimate a job that begins; None where nothing is known. It never raises."""


class UpkeepStore(Protocol):
    """The state that sweeps share. Every method raises StoreUnavailableError when MongoDB is away."""

    def acquire(self, chore: str, *, lease_s: float) -> str | None:
        """Lease a chore for so long and return an id of the lease; None while another process holds it."""

    def extend(self, chore: str, holder: str, *, lease_s: float) -> bool:
        """Extend the lease to so long from now; False when another process has taken it over."""

    def release(self, chore: str, holder: str) -> None:
        """End the lease, if it is still this holder's."""

    def position(self, chore: str) -> str | None:
        """Return the cursor of a chore that is done in parts; None: it begins."""

    def move(self, chore: str, position: str | None) -> None:
        """Store the cursor; None: it begins again."""

    def next_mark(self, line: Line, *, every_s: float) -> datetime | None:
        """Return the current instant if a mark is to be sent now; None within `every_s` of the last one."""

    def note_mark(self, line: Line, sent_at: datetime) -> None:
        """Note that this mark was delivered."""

    def delivered_until(self, line: Line, *, grace_s: float) -> datetime | None:
        """Return the instant of the last mark that was delivered at least `grace_s` ago; None without one.

        By then every message that was delivered before the mark has led to a claim.
        """
