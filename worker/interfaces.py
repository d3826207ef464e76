"""All seams on one screen: what the domain asks of the outside, and of what it is told about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.jobs import Job
from worker.pages import ExportType, Offset, Page
from worker.tokens import RenewedToken, Token


@dataclass(frozen=True, slots=True)
class RecordSlice:
    """Consecutive records of a job, each as HubSpot's bytes. `start` is the place of the first among all of them."""

    start: int
    records: list[bytes]

    @property
    def end(self) -> int:
        """The place after the last record."""
        return self.start + len(self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """One call for one page."""

    export_type: ExportType
    count: int
    offset: Offset | None
    params: tuple[tuple[str, str], ...] = ()


class JobStore(Protocol):
    """Jobs, the one truth about their state. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, job: Job) -> None:
        """Store a new job, durably. Adding the same job again changes nothing."""

    def get(self, job_id: str, *, account_id: str) -> Job:
        """Raise JobNotFoundError for an unknown job and for another account's alike."""

    def remove(self, job_id: str) -> None:
        """Forget a job that nobody has started; anything else stays as it is."""

    def claim(self, job_id: str, *, worker: str, lease_s: float, at: datetime) -> Job | None:
        """Lease a job that is due and that nobody holds, with the next epoch; None when there is nothing to do."""

    def checkpoint(self, job: Job, *, lease_s: float) -> None:
        """Store what the holder of the lease knows; a terminal or waiting job gives the lease up.

        Raises LeaseLostError when the epoch is not the present one.
        """

    def release(self, job: Job) -> None:
        """Give the lease up with work left to do. Raises LeaseLostError as `checkpoint` does."""

    def mark_unpublished(self, jobs: Sequence[Job]) -> None:
        """Note that nobody was rung for these jobs, so that the next sweep does, without a pause."""

    def take_unpublished(self, *, quiet_s: float, limit: int) -> list[Job]:
        """Give jobs that are due but have not been rung for in the last `quiet_s` seconds, marked as rung for now."""


class PageStore(Protocol):
    """Pages of jobs, each stored once and never changed."""

    def add(self, job: Job, page: Page, *, expires_at: datetime | None = None) -> None:
        """Store the job's next page; one with an `expires_at` is removed then.

        Storing it again under the same or a newer epoch is safe, an older one is refused.

        Raises LeaseLostError when a newer holder of the job has stored this page.
        """

    def expire(self, job_id: str, *, at: datetime) -> None:
        """Have all pages of a job removed at that instant."""

    def get(self, job_id: str, number: int) -> Page:
        """Give one page. Raises JobNotFoundError when it is not there."""

    def read(self, job_id: str, export_type: ExportType, *, start: int, limit: int) -> RecordSlice:
        """Give at most `limit` records from the place `start` on, in order, over page borders."""


class TokenStore(Protocol):
    """OAuth tokens, shared with other programs."""

    def find(self, account_id: str, owner: str) -> Token | None:
        """Give the stored token."""

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        """Write a renewal back; fields that are not ours stay as they are.

        Gives False, with nothing written, when another refresh token has been stored meanwhile: the account was
        connected anew, and what was got with the old one is worth nothing.
        """


class TokenSource(Protocol):
    """Access tokens that work now."""

    def fresh(self, account_id: str, owner: str, *, refused: SecretStr | None = None) -> SecretStr:
        """Give an access token with life left, renewed if need be; never the one that HubSpot `refused`.

        Raises TokenNotFoundError, ReconnectRequiredError, RetryableHubSpotError.
        """


class CrmSource(Protocol):
    """The CRM that is exported from."""

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> Page:
        """Do one call. Raises a HubSpotError."""


class JobQueue(Protocol):
    """The way to the workers; only the job's id travels."""

    def publish(self, job: Job) -> None:
        """Ring for a job. Raises BrokerUnavailableError."""


class JobAnnouncer(Protocol):
    """Tells whoever waits that a job's state has changed; best effort, it never raises."""

    def announce(self, job: Job) -> None:
        """Say that the job has a new state."""


class RateLimiter(Protocol):
    """Calls per connected account, counted over all workers."""

    def reserve(self, account_id: str) -> float:
        """Take one call: 0.0 when it may be made now, otherwise the seconds after which to ask again."""
