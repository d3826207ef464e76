"""Ports that count: each wraps one of the same interface, and counts its calls by outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from pydantic import SecretStr

from worker.accounts.gone_list import GoneList
from worker.errors import BrokerUnavailableError, DailyLimitError, ListGoneError, RateLimitedError
from worker.export.interfaces import ApiChooser, ChosenApi, CrmSource, FetchedPage, PageQuery
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.webhook import DeliveryResult
from worker.messaging.interfaces import JobNotifier, JobQueue
from worker.rate_limit.interfaces import RateLimiter, Reservation
from worker.rate_limit.quota import Quota
from worker.records.crm_api import CrmApi
from worker.records.enabled_types import label_of
from worker.records.types import DOCUMENTED_TYPES, ExportType
from worker.telemetry.metrics import ExportMetrics, JobMetrics
from worker.webhooks.interfaces import WebhookSender

_ENDS = tuple(status for status in JobStatus if status.is_terminal)
_COUNTED = (JobKind.PAGE, JobKind.EXPORT)


class MeasuredQueue:
    """A JobQueue that counts publications, and those that the broker refused."""

    def __init__(self, queue: JobQueue, metrics: JobMetrics) -> None:
        self._queue = queue
        self._metrics = metrics

    def publish(self, job: Job) -> None:
        try:
            self._queue.publish(job)
        except BrokerUnavailableError:
            self._metrics.publish_failures.inc()
            raise
        self._metrics.published.inc()


class MeasuredNotifier:
    """A JobNotifier that counts ends of exports, which are notified once, by the one who stored them.

    Ends of syncs are not counted: two children that end at the same moment may each notify it.
    """

    def __init__(
        self, notifier: JobNotifier, metrics: JobMetrics, types: Sequence[ExportType] = DOCUMENTED_TYPES
    ) -> None:
        self._notifier = notifier
        self._metrics = metrics
        for status, export_type, kind in product(_ENDS, types, _COUNTED):
            metrics.ended.labels(status, export_type, kind)  # at zero from the start: see `metrics`
            metrics.withheld.labels(export_type)

    def notify(self, job: Job) -> None:
        if job.status.is_terminal and job.kind in _COUNTED:
            self._metrics.ended.labels(job.status, label_of(job.type_name), job.kind).inc()
            self._metrics.withheld.labels(label_of(job.type_name)).inc(
                job.copying.withheld if job.copying is not None else 0
            )
        self._notifier.notify(job)

    def notify_page(self, job: Job) -> None:
        self._notifier.notify_page(job)


class MeasuredSource:
    """A CrmSource that counts pages, their records, and answers of 429."""

    def __init__(self, source: CrmSource, metrics: ExportMetrics) -> None:
        self._source = source
        self._metrics = metrics

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        try:
            fetched = self._source.fetch_page(query, access_token)
        except RateLimitedError as error:
            self._metrics.rate_limited.labels("daily" if isinstance(error, DailyLimitError) else "short").inc()
            raise
        label = label_of(query.export_type)
        self._metrics.pages.labels(label, fetched.api).inc()
        self._metrics.records.labels(label, fetched.api).inc(fetched.page.records)
        return fetched


class MeasuredChooser:
    """An ApiChooser that counts jobs that continue with another API."""

    def __init__(self, chooser: ApiChooser, metrics: ExportMetrics) -> None:
        self._chooser = chooser
        self._metrics = metrics
        for export_type, api in product(DOCUMENTED_TYPES, CrmApi):
            metrics.api_changes.labels(export_type, api)

    def choose(self, job: Job) -> ChosenApi:
        chosen = self._chooser.choose(job)
        if job.last_api not in (None, chosen.api):
            self._metrics.api_changes.labels(label_of(job.type_name), chosen.api).inc()
        return chosen

    def leave(self, job: Job, error: ListGoneError) -> CrmApi | None:
        api = self._chooser.leave(job, error)
        if api is not None:
            self._metrics.api_changes.labels(label_of(job.type_name), api).inc()
        return api

    def retract(self, sighting: GoneList) -> None:
        self._chooser.retract(sighting)


class MeasuredLimiter:
    """A RateLimiter that counts permits and the seconds until them; low-priority calls never wait, and are left out."""

    def __init__(self, limiter: RateLimiter, metrics: ExportMetrics) -> None:
        self._limiter = limiter
        self._metrics = metrics

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = False
    ) -> Reservation:
        reservation = self._limiter.reserve(account_id, hub_id=hub_id, within_s=within_s, low_priority=low_priority)
        if not low_priority:
            outcome = "booked" if reservation.is_granted else "refused"
            self._metrics.permit_wait_s.labels(outcome).observe(reservation.wait_s)
        return reservation

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        self._limiter.learn(account_id, quota, hub_id=hub_id)

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        self._limiter.block(account_id, hub_id=hub_id, seconds=seconds)


class MeasuredSender:
    """A WebhookSender that counts attempts by outcome, and times them."""

    def __init__(
        self, sender: WebhookSender, metrics: ExportMetrics, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._metrics = metrics
        self._monotonic = monotonic

    def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> DeliveryResult:
        began_at = self._monotonic()
        result = self._sender.send(url, headers=headers, body=body)
        unanswered = "unanswered" if result.status is None else "refused"
        self._metrics.webhooks.labels("taken" if result.is_success else unanswered).inc()
        self._metrics.webhook_s.observe(self._monotonic() - began_at)
        return result
