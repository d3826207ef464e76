"""Deliverer: tells webhooks how their jobs ended; each job's own document says what is due, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from worker.errors import UnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.webhook import MOST_ATTEMPTS, DeliveryResult, Webhook
from worker.lifecycle.completion import with_erased
from worker.pages.interfaces import PageStore
from worker.webhooks.event import Event
from worker.webhooks.interfaces import DeliveryPool, DeliveryQueue, DeliveryStore, WebhookSender
from worker.webhooks.signature import Signer
from worker.webhooks.url_policy import destination_of

_log = structlog.get_logger()

CLAIM_S = 60.0
"""The lease of an attempt: longer than a name server and a destination take together."""

_MOST_AN_ACCOUNT, _MOST_A_DESTINATION = 8, 4  # at once: an account with several is not held up by one that hangs
_HEADERS = {"Content-Type": "application/json", "User-Agent": "hubspot-export", "Connection": "close"}
_NO_SECRET = DeliveryResult(error="This service has no secret to sign with any more")


class Deliverer:
    """Delivers at least once; a receiver recognises a repetition by the event's id.

    An attempt counts from the moment it is claimed: one that kills its process must not be repeated for ever.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        deliveries: DeliveryStore,
        jobs: JobStore,
        pages: PageStore,
        sender: WebhookSender,
        signer: Signer,
        pool: DeliveryPool,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliveries = deliveries
        self._jobs = jobs
        self._pages = pages
        self._sender = sender
        self._signer = signer
        self._pool = pool
        self._clock = clock
        self._monotonic = monotonic

    def deliver(self, job_id: str) -> None:
        """Queue an attempt at a delivery that is due, without waiting for it: the task's thread is needed elsewhere.

        Where too many wait for the same account or destination it is dropped; a sweep publishes it again. Raises
        StoreUnavailableError.
        """
        recipient = self._deliveries.recipient_of(job_id)
        if recipient is None:
            _log.info("nothing_to_deliver", job_id=job_id)
            return
        account_id, destination = recipient.account_id, destination_of(recipient.url)
        limits = {f"account {account_id}": _MOST_AN_ACCOUNT, f"destination {destination}": _MOST_A_DESTINATION}
        if not self._pool.submit(limits, job_id, partial(self._attempt, job_id)):
            _log.warning("delivery_put_off", job_id=job_id, account_id=account_id, destination=destination)

    def _attempt(self, job_id: str) -> None:
        try:
            job = self._deliveries.claim(job_id, lease_s=CLAIM_S)
            if job is None or job.webhook is None:
                return
            with structlog.contextvars.bound_contextvars(**job.log_fields):
                self._post(job, job.webhook)
        except UnavailableError as error:
            _log.warning("delivery_given_up", job_id=job_id, error=error.message)

    def _post(self, job: Job, webhook: Webhook) -> None:
        if webhook.attempts > MOST_ATTEMPTS:
            self._note(job, webhook.give_up(), again_in_s=None)
            return
        (shown,) = with_erased([job], jobs=self._jobs, pages=self._pages)
        event, at, began_at = Event.of(shown), self._clock(), self._monotonic()
        result = self._send(job, webhook.url, event, at)
        tried = webhook.after(result, event_id=event.event_id, at=at, seconds=self._monotonic() - began_at)
        jitter = random.random()  # noqa: S311 - spreads load
        self._note(job, tried, again_in_s=tried.retry_in_s(advised_s=result.retry_after_s, jitter=jitter))

    def _send(self, job: Job, url: str, event: Event, at: datetime) -> DeliveryResult:
        if not self._signer.can_sign:
            return _NO_SECRET
        signed = self._signer.headers(job.account_id, event_id=event.event_id, body=event.body, at=at)
        return self._sender.send(url, headers={**_HEADERS, **signed}, body=event.body)

    def _note(self, job: Job, tried: Webhook, *, again_in_s: float | None) -> None:
        is_noted = self._deliveries.note(replace(job, webhook=tried), again_in_s=again_in_s)
        last = tried.deliveries[-1] if tried.deliveries else None
        _log.info(
            "webhook_tried" if is_noted else "webhook_overtaken",
            outcome=tried.outcome,
            attempt=tried.attempts,
            destination=destination_of(tried.url),
            status=last.status if last is not None else None,
            error=last.error if last is not None else None,
            again_in_s=round(again_in_s) if again_in_s is not None else None,
        )


def publish_due(deliveries: DeliveryStore, queue: DeliveryQueue, *, quiet_s: float, limit: int = 500) -> int:
    """Publish deliveries that are due and return how many; each goes to one of those who do this at once.

    One whose message led to no attempt is published again after `quiet_s`. Raises StoreUnavailableError,
    BrokerUnavailableError.
    """
    due = deliveries.take_due(quiet_s=quiet_s, limit=limit)
    for job_id in due:
        queue.publish(job_id)
    return len(due)
