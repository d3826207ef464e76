"""Builds what exports: the slice runner and what it works with, the limiter, the planner."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.bootstrap.accounts import Accounts
from worker.bootstrap.copies import Copies
from worker.bootstrap.infrastructure import STORE_TIMEOUT_S, Infrastructure
from worker.broker.redis_client import impatient_redis
from worker.definitions.definitions import Definitions
from worker.export.api_choice import ApiChoice
from worker.export.context import ExportContext, SliceLimits
from worker.export.further_calls import FURTHER_CALLS_S
from worker.export.interfaces import CrmSource
from worker.export.leases import LeaseKeeper
from worker.export.runner import Exporter
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import CONNECT_S, Transport
from worker.instrumented.metrics import MeasuredChooser, MeasuredLimiter, MeasuredNotifier, MeasuredSource
from worker.instrumented.tracing import SliceSpans
from worker.lifecycle.planner import Planner
from worker.messaging.backlog import Backlog
from worker.messaging.publish import DelayedPublisher
from worker.rate_limit.blocks import CALLS, SEARCHES
from worker.rate_limit.limiter import NoRateLimit, RedisRateLimiter
from worker.rate_limit.quota import SEARCH_RATE
from worker.rate_limit.search_limiter import SearchLimiter
from worker.schedules.mongo.store import MongoScheduleStore
from worker.settings import WorkerSettings

_STUCK_MARGIN_S = 60.0
_CALLS_A_PAGE = 3  # at their slowest: two for the token and its portal, and the page's own
_MOST_STORING = 1024  # threads that store: created on demand, a few for each slice at work
_MOST_CALLING = 1024  # the same for calls of exports that have several in flight
_MOST_EXTRA_CALLS = 64  # in flight in this process beyond one for each slice: their answers take memory


def build_exporter(  # noqa: PLR0913 - what slices work with
    infra: Infrastructure,
    accounts: Accounts,
    copies: Copies,
    planner: Planner,
    *,
    definitions: Definitions,
    limiters: Limiters,
) -> Exporter:
    settings, metrics = infra.settings, infra.instruments.metrics
    tools = ExportContext(
        jobs=infra.jobs,
        pages=infra.pages,
        copy=copies.writer,
        eraser=copies.eraser,
        tokens=accounts.portal_tokens,
        portals=accounts.portals,
        schedules=MongoScheduleStore(infra.database),
        scopes=accounts.introspector,
        definitions=definitions,
        source=MeasuredSource(_source(settings, infra.transport), metrics),
        apis=MeasuredChooser(
            ApiChoice(setting=settings.hubspot_api, lists=MongoGoneListStore(infra.database)), metrics
        ),
        queue=infra.queue,
        notifier=MeasuredNotifier(infra.notifier, infra.job_metrics, settings.export_types.kinds),
        limiter=MeasuredLimiter(limiters.calls, metrics),
        search_limiter=MeasuredLimiter(limiters.searches, metrics),
        forecaster=planner,
        backlog=Backlog(infra.published),
        storing=ThreadPoolExecutor(_MOST_STORING, thread_name_prefix="storing"),
        calling=ThreadPoolExecutor(_MOST_CALLING, thread_name_prefix="calling"),
        lanes=settings.export_lanes,
        extra_calls=threading.BoundedSemaphore(_MOST_EXTRA_CALLS),
        delayed=DelayedPublisher(infra.queue, jobs=infra.jobs),
        result_ttl=infra.result_ttl,
        clock=infra.clock,
        stopping=infra.stopping,
    )
    keeper = LeaseKeeper(jobs=infra.jobs, lease_s=settings.lease_seconds, longest_s=longest_slice_s(settings))
    keeper.start()
    return Exporter(
        tools=tools,
        keeper=keeper,
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        limits=SliceLimits(seconds=settings.slice_seconds, slots_per_account=settings.slots_per_account),
        watch=SliceSpans(infra.instruments.traces, headers=infra.instruments.headers),
    )


def longest_slice_s(settings: WorkerSettings) -> float:
    """Return how long a slice may take with the slowest answers; after that it is stuck, and its lease is given up."""
    call_s = CONNECT_S + settings.hubspot_timeout_seconds
    calls_s = _CALLS_A_PAGE * (call_s + STORE_TIMEOUT_S) + FURTHER_CALLS_S
    return settings.slice_seconds + calls_s + _STUCK_MARGIN_S


def _source(settings: WorkerSettings, transport: Transport) -> CrmSource:
    endpoints, objects_url = legacy_endpoints(settings), settings.hubspot_objects_endpoint
    legacy = LegacyClient(transport=transport, endpoints=endpoints, objects_url=objects_url)
    dated = DatedClient(
        transport=transport, objects_url=objects_url, legacy=endpoints, notes_kinds=settings.hubspot_notes_kinds
    )
    return CrmClient(legacy=legacy, dated=dated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiters:
    """HubSpot's two limits of a portal: of calls, and of searches, which do not count among them."""

    calls: RedisRateLimiter | NoRateLimit
    searches: SearchLimiter

    def flush(self) -> None:
        """Report to Redis now how calls ended."""
        self.calls.flush()
        self.searches.flush()


def build_limiters(settings: WorkerSettings) -> Limiters:
    redis, rate, app_id = impatient_redis(settings.redis), settings.hubspot_rate_limit, settings.hubspot_client_id
    calls: RedisRateLimiter | NoRateLimit
    searches: RedisRateLimiter | NoRateLimit
    if rate is None:
        calls, searches = (NoRateLimit(redis, app=app_id, limit=each) for each in (CALLS, SEARCHES))
    else:
        calls = RedisRateLimiter(redis, rate, app=app_id)
        searches = RedisRateLimiter(redis, SEARCH_RATE, app=app_id, limit=SEARCHES)
    return Limiters(calls=calls, searches=SearchLimiter(calls=calls, searches=searches))
