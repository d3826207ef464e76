"""The interfaces of webhooks: the store of deliveries, their queue, the sender, and the pool it is called from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.webhook import DeliveryResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where a delivery goes, and for which account."""

    account_id: str
    url: str


class DeliveryStore(Protocol):
    """Deliveries that are outstanding. Every method raises StoreUnavailableError when MongoDB is away.

    A delivery is due when a job has ended, has its receipt, and no attempt has succeeded; after a failed attempt when
    the pause is over. A job that is retried or removed has nothing to deliver.
    """

    def take_due(self, *, quiet_s: float, limit: int) -> list[str]:
        """Mark due deliveries as published and return their jobs' ids, those that waited longest first.

        Those that were published within the last `quiet_s` seconds, after they became due, are left out.
        """

    def recipient_of(self, job_id: str) -> Recipient | None:
        """Return the recipient of the delivery if it is due."""

    def claim(self, job_id: str, *, lease_s: float) -> Job | None:
        """Claim a delivery that is due and count the attempt; None where nothing is due.

        It is due again in `lease_s` seconds, unless the attempt's outcome is noted by then.
        """

    def note(self, told: Job, *, again_in_s: float | None) -> bool:
        """Store the webhook of a claimed job after the attempt; it is due again in so many seconds, None: never.

        Return False, with nothing written, where the job has moved on or the delivery was claimed again meanwhile.
        """


class DeliveryQueue(Protocol):
    """The queue of deliveries; a message holds only the job's id."""

    def publish(self, job_id: str) -> None:
        """Publish a delivery. Raises BrokerUnavailableError."""


class WebhookSender(Protocol):
    def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> DeliveryResult:
        """POST a body once. It never raises: what went wrong is in the reply."""


class DeliveryPool(Protocol):
    """Threads for attempts; one that hangs holds up only those that have a group in common with it."""

    def submit(self, limits: Mapping[str, int], key: str, work: Callable[[], None]) -> bool:
        """Queue work once for each key that waits or runs; False: too much waits in one of its groups.

        `limits` are the groups of the work, each with how much of it may run at once.
        """
