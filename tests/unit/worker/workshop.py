"""An exporter at work without servers: in-memory stores, HubSpot's stand-in under `responses`, a clock to move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec
from pydantic import SecretStr

from sandbox.portal.hubspot import HubSpot
from tests.fakes.clock import ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore, InMemoryTokenStore
from worker.exporter import Exporter, ExportTools, SliceLimits
from worker.hubspot.client import LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.tokens import RenewingTokenSource
from worker.hubspot.transport import Transport
from worker.interfaces import CrmSource, PageQuery, RateLimiter
from worker.jobs import ExportRequest, Job, JobKind, JobStatus, Progress
from worker.limiter import NoRateLimit
from worker.pages import ExportType, Page
from worker.settings import WorkerSettings
from worker.tokens import Token

HUB = 62515


class ImpatientEvent(threading.Event):
    """Waiting moves the clock instead of taking time; `waits` are the seconds that were asked for."""

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
    """A JobAnnouncer that remembers."""

    told: list[JobStatus] = field(default_factory=list)

    def announce(self, job: Job) -> None:
        self.told.append(job.status)


@dataclass
class Interrupted:
    """A CrmSource with something happening after its n-th call (counted from 1), before the answer is used."""

    source: CrmSource
    after_call: int
    happening: Callable[[], None]
    calls: int = 0

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> Page:
        page = self.source.fetch_page(query, access_token)
        self.calls += 1
        if self.calls == self.after_call:
            self.happening()
        return page


class Workshop:
    """Everything an exporter touches, in the hands of a test."""

    def __init__(self, hubspot: HubSpot, clock: ManualClock) -> None:
        self.hubspot = hubspot
        self.clock = clock
        self.jobs = InMemoryJobStore(clock)
        self.pages = InMemoryPageStore()
        self.tokens = InMemoryTokenStore()
        self.queue = HoldingJobQueue()
        self.news = News()
        self.stopping = ImpatientEvent(clock)
        settings = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
        self.source: CrmSource = LegacyClient(transport=Transport(), endpoints=legacy_endpoints(settings))
        self.token_source = RenewingTokenSource(
            store=self.tokens,
            transport=Transport(),
            endpoint=settings.hubspot_token_endpoint,
            client_id="id",
            client_secret=SecretStr("secret"),
            clock=clock,
        )
        self.connect()

    def connect(self) -> None:
        """Store a token that has ended."""
        self.tokens.put(
            Token(
                account_id="a1",
                owner="u1",
                access_token=None,
                refresh_token=SecretStr(f"refresh-{HUB}"),
                generated_at=None,
                expires_in_s=None,
            )
        )

    def exporter(
        self,
        *,
        worker: str = "w1",
        source: CrmSource | None = None,
        limiter: RateLimiter | None = None,
        limits: SliceLimits | None = None,
    ) -> Exporter:
        """Build a worker's exporter; several share this workshop."""
        tools = ExportTools(
            jobs=self.jobs,
            pages=self.pages,
            tokens=self.token_source,
            source=source or self.source,
            queue=self.queue,
            announcer=self.news,
            limiter=limiter or NoRateLimit(),
        )
        return Exporter(
            tools=tools,
            worker=worker,
            result_ttl=timedelta(days=30),
            clock=self.clock,
            stopping=self.stopping,
            limits=limits,
        )

    def add_job(self, *, kind: JobKind = JobKind.EXPORT, **request: Any) -> str:  # noqa: ANN401 - ExportRequest's fields
        """Store a job for contacts, 100 a page."""
        asked = replace(ExportRequest(page_size=100), **request)
        job = Job(
            job_id="j1",
            account_id="a1",
            owner="u1",
            export_type=ExportType.CONTACTS,
            kind=kind,
            request=asked,
            progress=Progress(offset=asked.offset),
            created_at=self.clock(),
            updated_at=self.clock(),
        )
        self.jobs.add(job)
        return job.job_id

    def job(self) -> Job:
        """Look at the job."""
        return self.jobs.get("j1", account_id="a1")

    def stored_ids(self) -> list[int]:
        """Give the ids of all records that a client would read."""
        found = self.pages.read("j1", ExportType.CONTACTS, start=0, limit=self.job().progress.records)
        return [msgspec.json.decode(record)["vid"] for record in found.records]

    def ids_in_hubspot(self) -> list[int]:
        """Give the ids of all contacts there are."""
        return self.hubspot.accounts[HUB].records["contacts"].ids()

    def end_access_tokens(self) -> None:
        """Have HubSpot refuse the access tokens of today."""
        self.hubspot.tokens.expire(HUB)

    def lose_the_tokens(self) -> None:
        """Remove the stored token, as a user does who disconnects the account."""
        self.tokens.clear()

    def calls(self, type_: str = "contacts") -> int:
        """Count the calls that HubSpot has seen."""
        return len([call for call in self.hubspot.journal.calls if call.type == type_])
