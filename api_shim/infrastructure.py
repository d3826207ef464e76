"""Infrastructure: the stores, queues and instruments that several services of the shim share."""

from __future__ import annotations

from dataclasses import dataclass

from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.job_waiter import JobWaiter
from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.encryption import TokenEncryption
from worker.accounts.health import TokenHealth
from worker.accounts.known_tokens import KnownTokens
from worker.accounts.mongo.connections import MongoConnectionStore
from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.accounts.mongo.portals import MongoPortalStore
from worker.accounts.mongo.tokens import MongoTokenStore
from worker.app import app as celery_app
from worker.broker.redis_client import async_redis_client
from worker.current_copy.mongo.records import MongoRecordStore
from worker.instrumented.metrics import MeasuredQueue
from worker.instrumented.tracing import TracedQueue
from worker.jobs.mongo.jobs import MongoJobStore
from worker.messaging.bounded_queue import BoundedQueue
from worker.messaging.celery_queues import CeleryJobQueue
from worker.mongo.database import MongoDatabase, connect
from worker.mongo.server_clock import MongoClock
from worker.mongo.spoiled import SpoiledDocuments
from worker.pages.mongo.pages import MongoPageStore
from worker.settings import ShimSettings
from worker.telemetry.metrics import JobMetrics
from worker.telemetry.provider import open_traces
from worker.telemetry.tracing import Traces

_STORE_TIMEOUT_S = 2.0  # a client learns within 3 s that the database is away
_HEALTH_CHECK_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """What several services share."""

    settings: ShimSettings
    database: MongoDatabase
    clock: MongoClock
    jobs: MongoJobStore
    pages: MongoPageStore
    records: MongoRecordStore
    encryption: TokenEncryption
    tokens: MongoTokenStore
    known_tokens: KnownTokens
    connections: MongoConnectionStore
    gone_lists: MongoGoneListStore
    portals: MongoPortalStore
    present: ConnectedPortals
    health: TokenHealth
    metrics: JobMetrics
    traces: Traces
    queue: MeasuredQueue
    waiter: JobWaiter
    waiting_limit: WaitingLimit


def build_infrastructure(settings: ShimSettings, *, metrics: JobMetrics) -> Infrastructure:
    """Connect nothing yet. The clock never waits for the database, since a client waits at the other end."""
    database = connect(
        settings.mongodb_uri.get_secret_value(),
        database=settings.mongodb_database,
        timeout_s=_STORE_TIMEOUT_S,
    )
    traces = open_traces(
        settings.otel_exporter_otlp_endpoint, service=settings.otel_service_name or "hubspot-export-shim"
    )
    spoiled = SpoiledDocuments(metrics.count_spoiled)
    jobs, encryption = MongoJobStore(database), TokenEncryption(settings.token_encryption_keys)
    tokens, connections = MongoTokenStore(database, encryption), MongoConnectionStore(database)
    portals = MongoPortalStore(database)
    broker = CeleryJobQueue(celery_app, now=jobs.now, headers=lambda _: traces.headers())
    notifications = async_redis_client(settings.redis, health_check_interval=_HEALTH_CHECK_S, socket_keepalive=True)
    return Infrastructure(
        settings=settings,
        database=database,
        clock=MongoClock(database, waits=False),
        jobs=jobs,
        pages=MongoPageStore(database, spoiled=spoiled),
        records=MongoRecordStore(database, spoiled),
        encryption=encryption,
        tokens=tokens,
        known_tokens=KnownTokens(tokens),
        connections=connections,
        gone_lists=MongoGoneListStore(database),
        portals=portals,
        present=ConnectedPortals(connections=connections, tokens=tokens, portals=portals),
        health=TokenHealth(connections=connections, tokens=tokens),
        metrics=metrics,
        traces=traces,
        queue=MeasuredQueue(TracedQueue(BoundedQueue(broker), traces), metrics),
        waiter=JobWaiter(notifications),
        waiting_limit=WaitingLimit(settings.max_waiting_requests_per_caller),
    )
