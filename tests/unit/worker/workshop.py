"""An exporter without servers: in-memory stores, HubSpot's stand-in through `responses`, a manual clock."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec
from pydantic import SecretStr

from sandbox.fake_hubspot.hubspot import HubSpot
from tests.fakes.clock import ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.definitions import GivenDefinitions, InMemoryDefinitionCache
from tests.fakes.erasures import InMemoryErasureStore
from tests.fakes.executor import HeldTasks, PromptExecutor
from tests.fakes.gone_lists import InMemoryGoneListStore
from tests.fakes.portals import InMemoryPortalStore
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.records import InMemoryRecordStore, InMemoryTransactions
from tests.fakes.schedules import InMemoryScheduleStore
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore
from tests.fakes.tokens import InMemoryRenewalLeases, InMemoryTokenEndpoints, InMemoryTokenStore
from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.token import Token
from worker.current_copy.comparison import Comparison
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.eraser import Eraser
from worker.current_copy.interfaces import Transactions
from worker.current_copy.writer import CurrentCopy
from worker.definitions.definitions import Definitions
from worker.definitions.reader import DefinitionReader
from worker.errors import ExportError
from worker.export.api_choice import ApiChoice, ApiSetting
from worker.export.context import ExportContext, SliceLimits, first_done
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.export.leases import LeaseKeeper
from worker.export.runner import Exporter
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.oauth.introspector import TokenIntrospector
from worker.hubspot.oauth.portals import PortalTokens
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_information import TokenInfoClient
from worker.hubspot.oauth.token_source import TokenProvider
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens
from worker.hubspot.transport import Transport
from worker.jobs.estimate import Estimate
from worker.jobs.job import Job, Progress
from worker.jobs.request import ExportRequest, SyncRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_children, new_sync
from worker.lifecycle.completion import SiblingsAtWork
from worker.messaging.backlog import Backlog
from worker.rate_limit.interfaces import RateLimiter
from worker.rate_limit.limiter import NoRateLimit
from worker.records.scopes import MissingScopes
from worker.records.types import CONTACTS, ExportType
from worker.settings import WorkerSettings

HUB = 62515
RECORDS = 450
PAGES = 5
LEASE_S = 20.0
CONTACTS_ONLY = SyncRequest(types=(CONTACTS,))


class ImpatientEvent(threading.Event):
    """An event whose waits advance the clock instead of taking time; `waits` are their seconds."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        self._clock.advance(timeout or 0.0)
        return self.is_set()


@dataclass
class News:
    """A JobNotifier that remembers."""

    told: list[JobStatus] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def notify(self, job: Job) -> None:
        self.told.append(job.status)

    def notify_page(self, job: Job) -> None:
        self.pages.append(job.job_id)


@dataclass
class Interrupted:
    """A CrmSource that calls `happening` after its n-th call (from 1), before the answer is used."""

    source: CrmSource
    after_call: int
    happening: Callable[[], object]
    calls: int = 0

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        fetched = self.source.fetch_page(query, access_token)
        self.calls += 1
        if self.calls == self.after_call:
            self.happening()
        return fetched


@dataclass
class Alarms:
    """A DelayedQueue that remembers."""

    seconds: list[float] = field(default_factory=list)

    def publish_in(self, delay_s: float, job: Job) -> None:  # noqa: ARG002 - the seam's
        self.seconds.append(delay_s)


@dataclass
class Forecasts:
    """A Forecaster that returns a given estimate, or fails; `asked` are the jobs that it was asked about."""

    estimate: Estimate | None = None
    failure: Exception | None = None
    asked: list[Job] = field(default_factory=list)

    def forecast(self, job: Job) -> Estimate | None:
        self.asked.append(job)
        if self.failure is not None:
            raise self.failure
        return self.estimate


@dataclass
class Scopes:
    """A ScopeSource with given missing scopes, or a failure."""

    told: Sequence[str] | None = ("crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read")
    lacking: dict[ExportType, tuple[str, ...]] = field(default_factory=dict)
    error: ExportError | None = None
    asked: int = 0

    def missing(
        self,
        account_id: str,  # noqa: ARG002 - the seam's
        owner: str,  # noqa: ARG002 - the seam's
        types: Collection[ExportType],
        *,
        token: SecretStr | None = None,  # noqa: ARG002 - the seam's
    ) -> MissingScopes:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {each: self.lacking[each] for each in types if each in self.lacking}

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:  # noqa: ARG002 - the seam's
        if self.error is not None:
            raise self.error
        return self.told


@cache
def _settings() -> WorkerSettings:
    return WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})


class Workshop:
    """Everything an exporter works with, for a test to set and to read."""

    def __init__(self, hubspot: HubSpot, clock: ManualClock, *, transport: Transport | None = None) -> None:
        transport = transport or Transport()
        self.hubspot = hubspot
        self.clock = clock
        self.jobs = InMemoryJobStore(clock)
        self.pages = InMemoryPageStore()
        self.records = InMemoryRecordStore(clock)
        self.erasures = InMemoryErasureStore(clock)
        self.transactions: Transactions = InMemoryTransactions(self.records, self.pages, self.erasures)
        self.tokens = InMemoryTokenStore()
        self.connections = InMemoryConnectionStore()
        self.portals = InMemoryPortalStore(clock)
        self.schedules = InMemoryScheduleStore(clock)
        self.siblings = SiblingsAtWork()
        self.queue = HoldingJobQueue()
        self.news = News()
        self.alarms = Alarms()
        self.forecasts = Forecasts()
        self.stopping = ImpatientEvent(clock)
        self.scopes = Scopes()
        self.guard = DeletionGuard()
        self.jitter: Callable[[], float] = random.random
        settings = _settings()
        endpoints = legacy_endpoints(settings)
        self.source: CrmSource = CrmClient(
            legacy=LegacyClient(
                transport=transport, endpoints=endpoints, objects_url=settings.hubspot_objects_endpoint
            ),
            dated=DatedClient(transport=transport, objects_url=settings.hubspot_objects_endpoint, legacy=endpoints),
        )
        self.gone_lists = InMemoryGoneListStore(clock)
        addresses = TokenAddresses(settings.hubspot_token_endpoint, memory=InMemoryTokenEndpoints(clock))
        self.token_source = TokenProvider(
            store=self.tokens,
            leases=InMemoryRenewalLeases(clock),
            endpoint=TokenEndpoint(
                transport=transport,
                addresses=addresses,
                client_id="id",
                client_secret=SecretStr("secret"),
            ),
            client_id="id",
            connections=self.connections,
            unwritten=UnwrittenTokens(),
            clock=clock,
        )
        self.information = TokenInfoClient(
            transport=transport,
            addresses=addresses,
            client_id="id",
            client_secret=SecretStr("secret"),
        )
        self.portal_tokens = PortalTokens(
            source=self.token_source,
            tokens=self.tokens,
            information=self.information,
            connections=self.connections,
            portals=self.portals,
            clock=clock,
            monotonic=lambda: clock().timestamp(),
        )
        self.definitions = GivenDefinitions()
        self.definition_cache = InMemoryDefinitionCache(clock)
        self.connect()

    def connect(self, hub_id: int = HUB) -> None:
        """Store an expired token."""
        self.tokens.put(
            Token(
                account_id="a1",
                owner="u1",
                access_token=None,
                refresh_token=SecretStr(f"refresh-{hub_id}"),
                generated_at=None,
                expires_in_s=None,
            )
        )

    def introspector(self) -> TokenIntrospector:
        """Build what asks HubSpot about tokens as workers do."""
        return TokenIntrospector(
            tokens=self.tokens,
            source=self.token_source,
            information=self.information,
            connections=self.connections,
            clock=self.clock,
        )

    def job_definitions(self) -> Definitions:
        """Build what reads definitions as workers do, with the lists that are given."""
        return Definitions(
            DefinitionReader(
                source=self.definitions,
                cache=self.definition_cache,
                tokens=self.portal_tokens,
                facts=self.introspector(),
                limiter=NoRateLimit(),
                stopping=self.stopping,
                monotonic=lambda: self.clock().timestamp(),
            )
        )

    def eraser(self) -> Eraser:
        """Build an eraser as workers and shims do."""
        return Eraser(
            jobs=self.jobs,
            erasures=self.erasures,
            records=self.records,
            pages=self.pages,
            transactions=self.transactions,
            monotonic=lambda: self.clock().timestamp(),
        )

    def copy(self) -> CurrentCopy:
        """Build the current copy's writer as workers do."""
        return CurrentCopy(
            records=self.records,
            transactions=self.transactions,
            erasures=self.erasures,
            comparison=Comparison(
                records=self.records,
                pages=self.pages,
                transactions=self.transactions,
                scopes=self.scopes,
                guard=self.guard,
            ),
            monotonic=lambda: self.clock().timestamp(),
        )

    def exporter(  # noqa: PLR0913 - what tests want to be otherwise
        self,
        *,
        worker: str = "w1",
        source: CrmSource | None = None,
        limiter: RateLimiter | None = None,
        search_limiter: RateLimiter | None = None,
        limits: SliceLimits | None = None,
        lanes: int = 1,
        permits: int | None = None,
        tasks: HeldTasks | None = None,
        api: ApiSetting = "legacy",
    ) -> Exporter:
        """Build a worker's exporter; several share this workshop."""
        tools = ExportContext(
            jobs=self.jobs,
            pages=self.pages,
            copy=self.copy(),
            tokens=self.portal_tokens,
            schedules=self.schedules,
            portals=ConnectedPortals(connections=self.connections, tokens=self.tokens, portals=self.portals),
            scopes=self.scopes,
            eraser=self.eraser(),
            definitions=self.job_definitions(),
            source=source or self.source,
            apis=ApiChoice(setting=api, lists=self.gone_lists),
            queue=self.queue,
            notifier=self.news,
            limiter=limiter or NoRateLimit(),
            search_limiter=search_limiter or NoRateLimit(),
            storing=tasks or PromptExecutor(),
            calling=tasks or PromptExecutor(),
            lanes=lanes,
            extra_calls=threading.Semaphore(lanes if permits is None else permits),
            first_done=tasks.first_done if tasks is not None else first_done,
            siblings=self.siblings,
            backlog=Backlog(self.queue, monotonic=lambda: self.clock().timestamp()),
            forecaster=self.forecasts,
            delayed=self.alarms,
            result_ttl=timedelta(days=30),
            clock=self.clock,
            monotonic=lambda: self.clock().timestamp(),
            jitter=self.jitter,
            stopping=self.stopping,
        )
        keeper = LeaseKeeper(jobs=self.jobs, lease_s=LEASE_S, longest_s=300, monotonic=lambda: self.clock().timestamp())
        return Exporter(tools=tools, keeper=keeper, worker=worker, limits=limits)

    def run_until_finished(self, job_id: str) -> None:
        """Do what workers and the sweeper do: run a slice whenever the job is due."""
        while not (job := self.job(job_id)).status.is_terminal:
            self.clock.now = max(self.clock.now, job.resume_at or self.clock.now)
            self.exporter().run_slice(job_id)

    def add_job(
        self,
        *,
        kind: JobKind = JobKind.EXPORT,
        export_type: ExportType = CONTACTS,
        job_id: str = "j1",
        **request: Any,  # noqa: ANN401 - ExportRequest's fields
    ) -> str:
        """Store a job, for contacts unless said otherwise, 100 a page."""
        asked = replace(ExportRequest(page_size=100), **request)
        job = Job(
            job_id=job_id,
            account_id="a1",
            owner="u1",
            export_type=export_type,
            kind=kind,
            request=asked,
            progress=Progress(offset=asked.offset),
            created_at=self.clock(),
            updated_at=self.clock(),
        )
        self.jobs.add(job)
        return job.job_id

    def add_sync(
        self,
        sync_id: str = "s1",
        *,
        page_size: int = 100,
        **wanted: Any,  # noqa: ANN401 - SyncRequest's fields
    ) -> str:
        """Store a sync and its export, of contacts by default, and return the export's id."""
        request = replace(CONTACTS_ONLY, **wanted)
        sync = new_sync(sync_id, account_id="a1", owner="u1", request=request, at=self.clock())
        (child,) = new_children(sync, at=self.clock())
        self.jobs.add(sync)
        self.jobs.expand(sync, [replace(child, request=replace(child.request, page_size=page_size))])
        return child.job_id

    def job(self, job_id: str = "j1") -> Job:
        """Return the job as stored."""
        return self.jobs.get(job_id, account_id="a1")

    def stored_ids(self) -> list[int]:
        """Return the ids of all records that a client would read."""
        found = self.pages.read("j1", CONTACTS, start=0, limit=self.job().progress.records)
        return [msgspec.json.decode(record)["vid"] for record in found.records]

    def ids_in_hubspot(self) -> list[int]:
        """Return the ids of all of HubSpot's contacts."""
        return self.hubspot.accounts[HUB].records["contacts"].ids()

    def end_access_tokens(self) -> None:
        """Make HubSpot refuse the access tokens issued so far."""
        self.hubspot.tokens.expire(HUB)

    def lose_the_tokens(self) -> None:
        """Remove the stored token, as a user does who disconnects the account."""
        self.tokens.clear()

    def calls(self, type_: str = "contacts") -> int:
        """Count the calls that HubSpot got."""
        return len([call for call in self.hubspot.journal.calls if call.type == type_])
