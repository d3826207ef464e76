"""InMemoryDeliveryStore: a DeliveryStore over the jobs of an InMemoryJobStore."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from tests.fakes.stores import InMemoryJobStore
from worker.errors import StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.webhook import Webhook, WebhookStatus
from worker.webhooks.interfaces import Recipient


class InMemoryDeliveryStore:
    """DeliveryStore. Its clock plays the part of the database server's."""

    def __init__(self, jobs: InMemoryJobStore, clock: Callable[[], datetime]) -> None:
        self._jobs = jobs
        self._clock = clock
        self._rung_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def take_due(self, *, quiet_s: float, limit: int) -> list[str]:
        if self._jobs.is_away:
            raise StoreUnavailableError
        with self._lock:
            due = [(at, job.job_id) for job in self._jobs.all if (at := self._due_at(job)) is not None]
            taken = list(islice((each for at, each in sorted(due) if self._was_not_rung_for(each, at, quiet_s)), limit))
            self._rung_at |= dict.fromkeys(taken, self._clock())
            return taken

    def recipient_of(self, job_id: str) -> Recipient | None:
        job = self._jobs.find(job_id)
        if job is None or job.webhook is None or self._due_at(job) is None:
            return None
        return Recipient(account_id=job.account_id, url=job.webhook.url)

    def claim(self, job_id: str, *, lease_s: float) -> Job | None:
        with self._lock:
            job = self._jobs.find(job_id)
            if job is None or job.webhook is None or self._due_at(job) is None:
                return None
            taken = replace(job, webhook=_claimed(job.webhook, job.run_number), deliver_at=self._after(lease_s))
            self._jobs.put(taken)
            return taken

    def note(self, told: Job, *, again_in_s: float | None) -> bool:
        with self._lock:
            job = self._jobs.find(told.job_id)
            if job is None or job.webhook is None or told.webhook is None or _untold_since(job) is None:
                return False
            if (job.run_number, job.webhook.attempts) != (told.run_number, told.webhook.attempts):
                return False
            deliver_at = self._after(again_in_s) if again_in_s is not None else None
            self._jobs.put(replace(job, webhook=told.webhook, deliver_at=deliver_at))
            self._rung_at.pop(told.job_id, None)
            return True

    def _due_at(self, job: Job) -> datetime | None:
        at = _untold_since(job)
        return at if at is not None and at <= self._clock() else None

    def _was_not_rung_for(self, job_id: str, due_at: datetime, quiet_s: float) -> bool:
        rung_at = self._rung_at.get(job_id)
        return rung_at is None or rung_at < due_at or rung_at < self._after(-quiet_s)

    def _after(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)


def _untold_since(job: Job) -> datetime | None:
    return job.deliver_at if job.status.is_terminal else None


def _claimed(webhook: Webhook, run_number: int) -> Webhook:
    attempts = webhook.attempts + 1 if webhook.run_number == run_number else 1
    return replace(webhook, run_number=run_number, attempts=attempts, outcome=WebhookStatus.PENDING)
