"""The seams of webhooks: what is due to be told, the way to the workers for it, and the way to its destinations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.webhook import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who is to be told, and where."""

    account_id: str
    url: str


class DeliveryStore(Protocol):
    """Whose webhooks have still to be told. Every method raises StoreUnavailableError when MongoDB is away.

    A delivery is due when a job has ended, has its receipt and its own end, and nobody was told of that yet; after an
    attempt when the pause is over. A job that is retried or removed has nothing to tell any more.
    """

    def take_due(self, *, quiet_s: float, limit: int) -> list[str]:
        """Return the ids of jobs with a delivery that is due, marked as published now, those that waited longest first.

        Left out are those that were published in the last `quiet_s` seconds, since they became due.
        """

    def addressee_of(self, job_id: str) -> Recipient | None:
        """Say to whom the delivery goes that is due; None: there is none."""

    def claim(self, job_id: str, *, lease_s: float) -> Job | None:
        """Take a delivery that is due and count the attempt; None when there is nothing to do.

        It is due again in `lease_s` seconds, unless it has been noted by then what came of the attempt.
        """

    def note(self, told: Job, *, again_in_s: float | None) -> bool:
        """Store the webhook of a claimed job as it is after the attempt; due again in so many seconds, None: never.

        False, with nothing written, when the job has moved on, or someone else has claimed the delivery meanwhile.
        """


class DeliveryQueue(Protocol):
    """The way to the workers for deliveries; only the job's id travels."""

    def publish(self, job_id: str) -> None:
        """Publish a delivery. Raises BrokerUnavailableError."""


class WebhookSender(Protocol):
    """The way to the destinations: all that is sent, and all that comes back."""

    def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST a body once. It never raises: what went wrong is in the reply."""


class DeliveryLines(Protocol):
    """Threads for attempts; one that hangs holds up only those that have a line in common with it."""

    def put(self, lines: Mapping[str, int], key: str, work: Callable[[], None]) -> bool:
        """Have work done soon, and once for each key. False: too much waits in one of its lines.

        `lines` says of each how much may be worked on at once.
        """
