"""What all areas of a worker are built on: settings, stores, queue, the way to HubSpot, metrics and traces."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry

from worker.app import app
from worker.broker.redis_client import redis_client
from worker.hubspot.instrumented import WatchedCalls
from worker.hubspot.transport import Sessions, Transport
from worker.instrumented.metrics import MeasuredQueue
from worker.instrumented.tasks import Instruments
from worker.jobs.mongo.jobs import MongoJobStore
from worker.messaging.celery_queues import CeleryJobQueue, message_headers
from worker.messaging.notifier import RedisJobNotifier
from worker.mongo.database import MongoDatabase, connect
from worker.mongo.server_clock import MongoClock
from worker.mongo.spoiled import SpoiledDocuments
from worker.pages.mongo.pages import MongoPageStore
from worker.settings import WorkerSettings
from worker.telemetry.metrics import ExportMetrics, JobMetrics
from worker.telemetry.provider import open_traces

STORE_TIMEOUT_S = 10.0
_REDIS_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """What several areas use. `published` is the queue as it is; `queue` counts what goes through it."""

    settings: WorkerSettings
    database: MongoDatabase
    clock: MongoClock
    stopping: threading.Event
    instruments: Instruments
    job_metrics: JobMetrics
    spoiled: SpoiledDocuments
    jobs: MongoJobStore
    pages: MongoPageStore
    transport: Transport
    published: CeleryJobQueue
    queue: MeasuredQueue
    notifier: RedisJobNotifier

    @property
    def result_ttl(self) -> timedelta:
        return timedelta(days=self.settings.result_ttl_days)


def build_infrastructure(
    settings: WorkerSettings, *, stopping: threading.Event, registry: CollectorRegistry
) -> Infrastructure:
    metrics, job_metrics = ExportMetrics(registry), JobMetrics(registry)
    traces = open_traces(
        settings.otel_exporter_otlp_endpoint, service=settings.otel_service_name or "hubspot-export-worker"
    )
    database = connect_to_mongodb(settings)
    # One clock for all that is stored: processes on machines with different times have to agree.
    clock, spoiled = MongoClock(database), SpoiledDocuments(job_metrics.count_spoiled)
    jobs = MongoJobStore(database, spoiled=spoiled)
    sessions = Sessions(patience_s=settings.hubspot_timeout_seconds, stopping=stopping, clock=clock)
    published = CeleryJobQueue(app, now=jobs.now)
    return Infrastructure(
        settings=settings,
        database=database,
        clock=clock,
        stopping=stopping,
        instruments=Instruments(metrics=metrics, traces=traces, headers=partial(message_headers, app)),
        job_metrics=job_metrics,
        spoiled=spoiled,
        jobs=jobs,
        pages=MongoPageStore(database, spoiled=spoiled),
        transport=Transport(WatchedCalls(sessions.send, metrics=metrics, traces=traces).send),
        published=published,
        queue=MeasuredQueue(published, job_metrics),
        notifier=RedisJobNotifier(redis_client(settings.redis, timeout_s=_REDIS_TIMEOUT_S)),
    )


def connect_to_mongodb(settings: WorkerSettings) -> MongoDatabase:
    """Connect as the worker does: with time-outs, and majority writes."""
    uri = settings.mongodb_uri.get_secret_value()
    return connect(uri, database=settings.mongodb_database, timeout_s=STORE_TIMEOUT_S)
