"""The metrics: names, labels, buckets and help texts, on a registry that arrives as an argument."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

NAMESPACE = "hubspot_export"

_log = structlog.get_logger()

_CALL_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 55)
_WAIT_S = (0.001, 0.05, 0.25, 1, 2.5, 5, 10, 30)
_WEBHOOK_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
_SLICE_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of the process itself: memory, CPU time and open files."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series a counter, of no use
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def serve_metrics(registry: CollectorRegistry, *, host: str, port: int) -> None:
    """Serve from a thread of its own while this process lives; an address that cannot be bound is only logged."""
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        _log.error("metrics_not_served", host=host, port=port, reason=error.strerror or str(error))
        return
    _log.info("metrics_served", host=host, port=port)


class JobMetrics:
    """What both shims and workers count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = _counter(registry, "jobs_ended", "Exports and pages that ended, by how", "status", "type", "kind")
        self.withheld = _counter(
            registry,
            "deletions_withheld",
            "Records of copies that a full sync did not find, and did not mark as deleted for want of proof",
            "type",
        )
        self.published = _counter(
            registry, "publishes", "Jobs for which the broker took a message, besides those of sweeps"
        )
        self.publish_failures = _counter(registry, "publish_failures", "Jobs for which the broker took no message")
        self.spoiled = _counter(
            registry, "spoiled_documents", "Stored documents that could not be read, and were set aside", "collection"
        )

        self.storage_warnings = _counter(
            registry, "storage_warnings", "Looks at an account that had too much stored, or nearly so", "outcome"
        )
        _begin_at_zero(self.storage_warnings, "nearly_full", "full")

    def count_storage_warning(self, level: str) -> None:
        self.storage_warnings.labels(level).inc()

    def count_spoiled(self, collection: str) -> None:
        self.spoiled.labels(collection).inc()


class ExportMetrics:
    """What only workers count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pages = _counter(registry, "pages", "Pages fetched from HubSpot", "type", "api")
        self.records = _counter(registry, "records", "Records in the pages fetched", "type", "api")
        self.api_changes = _counter(
            registry, "api_changes", "Exports and pages that went on by another of HubSpot's APIs", "type", "api"
        )
        self.calls = _counter(
            registry, "hubspot_calls", "Calls to HubSpot by the status of its answer; none: no answer", "api", "status"
        )
        self.call_s = _histogram(
            registry, "hubspot_call_duration_seconds", "From a call's first byte to its answer's last", _CALL_S, "api"
        )
        self.rate_limited = _counter(
            registry, "rate_limited", "Pages that HubSpot refused for a limit: of the day, or a shorter one", "limit"
        )
        _begin_at_zero(self.rate_limited, "daily", "short")
        self.permit_wait_s = _histogram(
            registry,
            "limiter_wait_seconds",
            "How far away the next permit of our own limit was: booked, or refused and to be asked for again then",
            _WAIT_S,
            "place",  # label and values keep names that dashboards know; `booked` is a granted permit
        )
        self.renewals = _counter(registry, "token_renewals", "Access tokens asked for anew, by outcome", "outcome")
        _begin_at_zero(self.renewals, "renewed", "failed", "reconnect_required")
        self.slices = _counter(registry, "slices", "Messages taken, by what came of them", "outcome")
        _begin_at_zero(self.slices, "worked", "nothing_to_claim", "not_taken", "lease_lost", "unavailable")
        self.slice_s = _histogram(registry, "slice_duration_seconds", "What a slice that had work took", _SLICE_S)
        self.runs = _counter(
            registry,
            "scheduled_runs",
            "Runs of schedules that were started, skipped for the sync before or a token that is no good, or missed",
            "outcome",
        )
        _begin_at_zero(self.runs, "started", "skipped", "missed")
        self.sweeps = _counter(registry, "sweeps", "Sweeps by outcome", "outcome")
        _begin_at_zero(self.sweeps, "done", "unavailable")
        self.webhooks = _counter(registry, "webhook_attempts", "Attempts to tell webhooks, by outcome", "outcome")
        _begin_at_zero(self.webhooks, "taken", "refused", "unanswered")
        self.webhook_s = _histogram(
            registry, "webhook_attempt_duration_seconds", "What an attempt to tell a webhook took", _WEBHOOK_S
        )
        self.republished = _counter(
            registry, "jobs_republished", "Jobs that a sweep published again, since no worker had taken them"
        )
        self.rung_again = _counter(registry, "jobs_rung_again", "The former name of jobs_republished, for one release")

    def count_republished(self, jobs: int) -> None:
        self.republished.inc(jobs)
        self.rung_again.inc(jobs)


def _counter(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, namespace=NAMESPACE, registry=registry)


def _histogram(
    registry: CollectorRegistry, name: str, meaning: str, buckets: Sequence[float], *labels: str
) -> Histogram:
    return Histogram(name, meaning, labels, namespace=NAMESPACE, buckets=buckets, registry=registry)


def _begin_at_zero(counter: Counter, *values: str) -> None:
    """Export a counter at zero from the start: `rate()` misses the first increment of a series that begins at one."""
    for value in values:
        counter.labels(value)
