"""The shim's metrics: requests, and the state of all jobs, read from the database when they are scraped."""

from __future__ import annotations

import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from api_shim.operations.http_connections import Connections
from worker.accounts.interfaces import ConnectionHealth, GoneListStore
from worker.errors import StoreUnavailableError
from worker.jobs.interfaces import OpenJobCounter, OpenJobs
from worker.jobs.status import JobKind
from worker.records.enabled_types import label_of
from worker.records.types import DOCUMENTED_TYPES
from worker.telemetry.metrics import NAMESPACE

_FRESH_S, _REST = 2.0, 20
_MOST_LISTS = 1000
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Reading = Callable[[], Iterable[Metric]]
"""Reads metrics from a store. Raises StoreUnavailableError."""


class RequestMetrics:
    """Counts and times requests. The label is the route's template, since paths hold unbounded ids."""

    def __init__(self, registry: CollectorRegistry, *, waiting: Callable[[], int]) -> None:
        self.requests = Counter(
            "http_requests",
            "Requests answered",
            ["method", "route", "status"],
            namespace=NAMESPACE,
            registry=registry,
        )
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "From a request's arrival to its answer's last byte; who waits for a job waits here",
            ["method", "route"],
            namespace=NAMESPACE,
            registry=registry,
            buckets=_REQUEST_S,
        )
        Gauge(
            "http_requests_waiting", "Requests that wait for a job to change", namespace=NAMESPACE, registry=registry
        ).set_function(waiting)


class StoredState(Collector):
    """Gauges of what is stored, the same from every shim.

    However often it is scraped, it reads at most once in 2 seconds, and for at most a twentieth of the time. While the
    database is away the gauges are absent, rather than stale, and `…_database_up` is 0.
    """

    def __init__(self, readings: Sequence[Reading], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._readings = readings
        self._monotonic = monotonic
        self._reading = threading.Lock()
        self._fresh_until = float("-inf")
        self._known: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Return nothing: describing the gauges would read the database when they are registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        # Under a lock: concurrent scrapes share one read.
        with self._reading:
            if self._monotonic() >= self._fresh_until:
                self._known, rest_s = self._read()
                self._fresh_until = self._monotonic() + rest_s
            return self._known

    def _read(self) -> tuple[list[Metric], float]:
        """Return the gauges, and for how many seconds they stay fresh."""
        began_at = self._monotonic()
        is_up = _gauge("database_up", "Whether the database gave the gauges that are read from it")
        try:
            found = [metric for reading in self._readings for metric in reading()]
        except StoreUnavailableError:
            is_up.add_metric([], 0)
            return [is_up], _FRESH_S
        is_up.add_metric([], 1)
        return [is_up, *found], max(_FRESH_S, _REST * (self._monotonic() - began_at))


class ConnectionCounts(Collector):
    """Open client connections, and those that the server has closed, by reason."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def describe(self) -> Iterable[Metric]:
        """Return nothing, as `StoredState` does."""
        return ()

    def collect(self) -> Iterable[Metric]:
        now, most = (
            _gauge("http_connections", "Open connections"),
            _gauge("http_connections_most", "Limit of open connections"),
        )
        now.add_metric([], self._connections.open)
        most.add_metric([], self._connections.most)
        name, meaning = f"{NAMESPACE}_http_connections_closed", "Connections closed by the server, by the reason"
        closed = CounterMetricFamily(name, meaning, labels=["reason"])
        for reason, times in sorted(self._connections.closed.items()):
            closed.add_metric([reason], times)
        return now, most, closed


class Exposition:
    """All metrics as text, in the format that every scraper accepts."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def render(self) -> bytes:
        """Return the text. May wait for the database."""
        return generate_latest(self._registry)


def read_jobs(census: OpenJobCounter) -> list[Metric]:
    """Read how many jobs are open, and for how long at most one has waited, run, or stored no page."""
    counts = _gauge("jobs", "Jobs that are not finished", "status", "type", "kind")
    due = _gauge("jobs_due", "Jobs that a worker could take now", "kind")
    age = _gauge("queue_age_seconds", "How long the first due job has waited for a worker", "kind")
    running = _gauge("oldest_running_seconds", "How long ago the oldest running job was started", "kind")
    quiet = _gauge("quietest_running_seconds", "For how long a running job has at most brought no page", "kind")
    found = census.open_jobs()
    open_jobs = Counts[tuple[str, str, str]]()
    for jobs in found:
        open_jobs[jobs.status, label_of(jobs.type), jobs.kind] += jobs.jobs
    for labels, number in open_jobs.items():
        counts.add_metric(labels, number)
    for kind, of_kind in _by_kind(found).items():
        due.add_metric([kind], sum(jobs.due for jobs in of_kind))
        age.add_metric([kind], _most(jobs.due_for_s for jobs in of_kind))
        running.add_metric([kind], _most(jobs.running_for_s for jobs in of_kind))
        quiet.add_metric([kind], _most(jobs.quiet_for_s for jobs in of_kind))
    return [counts, due, age, running, quiet]


def read_connections(health: ConnectionHealth) -> list[Metric]:
    """Read how many accounts have to be reconnected by their users."""
    refused = _gauge("connections_refused", "Connections whose token HubSpot has refused, at most 1000")
    refused.add_metric([], health.count_refused())
    return [refused]


def read_gone_lists(lists: GoneListStore) -> list[Metric]:
    """Read how many legacy lists HubSpot no longer serves."""
    gone = _gauge("lists_gone", "Legacy lists of accounts that are remembered as gone, at most 1000", "type")
    counts = Counts(each.export_type for each in lists.remembered_first(most=_MOST_LISTS))
    for export_type in DOCUMENTED_TYPES:
        gone.add_metric([export_type], counts[export_type])
    return [gone]


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, labels=labels)


def _by_kind(found: Iterable[OpenJobs]) -> dict[str, list[OpenJobs]]:
    """Group by kind, including kinds without jobs: a gauge that vanishes triggers no alert."""
    kinds: dict[str, list[OpenJobs]] = {kind: [] for kind in JobKind}
    for jobs in found:
        kinds.setdefault(jobs.kind, []).append(jobs)
    return kinds


def _most(seconds: Iterable[float | None]) -> float:
    """Return the largest; negative values come of clocks that disagree."""
    return max((each for each in seconds if each is not None and each > 0), default=0.0)
