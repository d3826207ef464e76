"""A running shim over in-memory stores: what a test asks it, and the worker's part played by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import fakeredis
import httpx
import jwt
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from tests.fakes.clock import ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.definitions import InMemoryDefinitionCache
from tests.fakes.erasures import InMemoryErasureStore
from tests.fakes.gone_lists import InMemoryGoneListStore
from tests.fakes.idempotency import InMemoryIdempotencyStore
from tests.fakes.portals import InMemoryPortalStore
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.records import InMemoryRecordStore, InMemoryTransactions
from tests.fakes.rpc_requests import HoldingErrandQueue, InMemoryRpcRequestStore
from tests.fakes.schedules import InMemoryScheduleStore
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore
from tests.fakes.tokens import InMemoryTokenStore
from worker.accounts.token import Token
from worker.current_copy.eraser import Eraser
from worker.errors import ExportError
from worker.jobs.job import Job
from worker.lifecycle.completion import JobFinisher
from worker.lifecycle.sync_starter import Syncer
from worker.messaging.notifier import RedisJobNotifier
from worker.records.page import Page, read_page
from worker.rpc.requests import Answer, RpcRequest

BASE_PATH = "/v1/integrations/hubspot"
SECRET = "a secret that only the tests know and long enough for every one of the HMAC algorithms"
CALLER = {"account_id": "a1", "uid": "u1", "scope": "contacts"}
LEASE_S = 30.0
RESULT_TTL = timedelta(days=30)
NO_CLAIMS: Mapping[str, object] = MappingProxyType({})

Json = dict[str, Any]
Headers = dict[str, str]


def mint(
    claims: Mapping[str, object] = NO_CLAIMS, *, key: str = SECRET, algorithm: str = "HS256", key_id: str | None = None
) -> str:
    """Sign a JWT of the usual caller with these claims changed; None leaves a claim out."""
    whole = {**CALLER, "exp": datetime.now(UTC) + timedelta(hours=1), **claims}
    left = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(left, key, algorithm=algorithm, headers={"kid": key_id} if key_id else None)


def token_of(account_id: str, owner: str) -> Token:
    return Token(
        account_id=account_id,
        owner=owner,
        access_token=SecretStr("access"),
        refresh_token=SecretStr("refresh"),
        generated_at=datetime(2026, 11, 23, tzinfo=UTC),
        expires_in_s=1800,
    )


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the shim is wired to."""

    clock: ManualClock = field(default_factory=ManualClock)
    jobs: InMemoryJobStore
    keys: InMemoryIdempotencyStore
    records: InMemoryRecordStore
    erasures: InMemoryErasureStore
    rpc_requests: InMemoryRpcRequestStore
    schedules: InMemoryScheduleStore
    gone_lists: InMemoryGoneListStore
    portals: InMemoryPortalStore
    definitions: InMemoryDefinitionCache
    connections: InMemoryConnectionStore = field(default_factory=InMemoryConnectionStore)
    rpc_request_queue: HoldingErrandQueue = field(default_factory=HoldingErrandQueue)
    pages: InMemoryPageStore = field(default_factory=InMemoryPageStore)
    tokens: InMemoryTokenStore = field(default_factory=InMemoryTokenStore)
    queue: HoldingJobQueue = field(default_factory=HoldingJobQueue)
    redis: fakeredis.FakeServer = field(default_factory=fakeredis.FakeServer)

    @property
    def eraser(self) -> Eraser:
        """An eraser, as shims and workers have one."""
        return Eraser(
            jobs=self.jobs,
            erasures=self.erasures,
            records=self.records,
            pages=self.pages,
            transactions=InMemoryTransactions(self.records, self.pages, self.erasures),
            monotonic=lambda: self.clock().timestamp(),
        )

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)


class HandWorker:
    """Does to jobs what the exporter does, step by step."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._notifier = RedisJobNotifier(fakeredis.FakeRedis(server=parts.redis))

    def start(self, job_id: str) -> Job:
        """Claim a job and say so."""
        job = self._parts.jobs.claim(job_id, worker="hand", lease_s=LEASE_S, at=self._parts.clock())
        assert job is not None, "there was nothing to claim"
        self._notifier.notify(job)
        return job

    def start_sync(self, job_id: str) -> list[Job]:
        """Make a sync's children."""
        parts = self._parts
        Syncer(jobs=parts.jobs, queue=parts.queue, clock=parts.clock).start(job_id)
        sync = parts.jobs.find(job_id)
        assert sync is not None
        return parts.jobs.children_of([sync])

    def store(self, job: Job, body: bytes) -> Job:
        """Store one more page of a job, and note in the job that it is there; the last one, or a cancel, ends it."""
        page, at = self.store_only(job, body), self._parts.clock()
        moved = job.advance(page, at=at)
        if moved.is_complete:
            return self._end(moved.succeed(at=at))
        is_cancelled = self._parts.jobs.checkpoint(moved, lease_s=LEASE_S)
        return self._end(moved.cancel(at=at)) if is_cancelled else moved

    def store_only(self, job: Job, body: bytes) -> Page:
        """Store a page as a worker does that is killed right after."""
        page = read_page(job.records_type, body)
        self._parts.pages.add(job, page)
        return page

    def notify_page(self, job: Job) -> None:
        """Notify that a job's page is stored, as a worker does before it stores the job's end."""
        self._notifier.notify_page(job)

    def fail(self, job: Job, error: ExportError) -> Job:
        """Return a job up."""
        return self._end(job.fail(error, at=self._parts.clock()))

    def answer(self, rpc_request: RpcRequest, answer: Answer) -> RpcRequest:
        """Take an RPC request and bring its answer; give what was taken."""
        taken = self._parts.rpc_requests.take(rpc_request.rpc_id)
        assert taken is not None, "there was nothing to take"
        self._parts.rpc_requests.answer(rpc_request.rpc_id, answer)
        self._notifier.notify_answer(rpc_request.rpc_id)
        return taken

    def requeue(self, job: Job) -> None:
        """Return the job up for somebody else to go on with."""
        self._parts.jobs.release(job)

    def export(self, job_id: str, *bodies: bytes) -> Job:
        """Claim a job and store these pages."""
        job = self.start(job_id)
        for body in bodies:
            job = self.store(job, body)
        return job

    def _end(self, job: Job) -> Job:
        jobs, pages = self._parts.jobs, self._parts.pages
        finisher = JobFinisher(jobs=jobs, pages=pages, notifier=self._notifier, result_ttl=RESULT_TTL)
        ended = finisher.finish(job)
        jobs.release(ended)
        self._notifier.notify(ended)
        finisher.propagate_to_sync(ended)
        return ended


@dataclass(frozen=True, kw_only=True)
class Shim(Parts):
    """The application on an event loop of its own, and a client in front of it."""

    app: FastAPI
    portal: BlockingPortal

    @property
    def worker(self) -> HandWorker:
        return HandWorker(self)

    def ask(
        self,
        method: str,
        path: str,
        *,
        authorization: str | None = None,
        content: bytes | None = None,
        headers: Headers | None = None,
    ) -> httpx.Response:
        """Send a request as the usual caller, unless another authorization is given; an empty one is none."""
        given = {"authorization": f"Bearer {mint()}" if authorization is None else authorization}
        return self.portal.call(self._send, method, path, given | (headers or {}), content)

    def get(self, path: str, *, authorization: str | None = None, **headers: str) -> httpx.Response:
        """GET below the base path."""
        return self.ask("GET", f"{BASE_PATH}{path}", authorization=authorization, headers=headers)

    def post(self, path: str, body: object = None, *, authorization: str | None = None) -> httpx.Response:
        """POST JSON below the base path."""
        content = json.dumps(body).encode() if body is not None else None
        return self.ask("POST", f"{BASE_PATH}{path}", authorization=authorization, content=content)

    def put(self, path: str, body: object = None, *, authorization: str | None = None) -> httpx.Response:
        """PUT JSON below the base path."""
        content = json.dumps(body).encode() if body is not None else None
        return self.ask("PUT", f"{BASE_PATH}{path}", authorization=authorization, content=content)

    def delete(self, path: str) -> httpx.Response:
        """DELETE below the base path."""
        return self.ask("DELETE", f"{BASE_PATH}{path}")

    def start(self, export_type: str, body: object = None) -> str:
        """Start an export and give the id of its job."""
        answer = self.post(f"/export/{export_type}", body)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["data"]["job_id"]
        return job_id

    @contextmanager
    def exporting(self, *bodies: bytes) -> Iterator[None]:
        """Answer the next job with these pages, as a worker does."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(lambda: self.worker.export(self.queue.take().job_id, *bodies))
            yield
            done.result()

    @contextmanager
    def failing(self, error: ExportError) -> Iterator[None]:
        """Fail the next job, as a worker does."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(lambda: self.worker.fail(self.worker.start(self.queue.take().job_id), error))
            yield
            done.result()

    @contextmanager
    def answering(self, answer: Answer) -> Iterator[Future[RpcRequest]]:
        """Answer the next RPC request, as a worker does; return that request."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(lambda: self.worker.answer(self.rpc_request_queue.take(), answer))
            yield done
            done.result()

    async def _send(self, method: str, path: str, headers: Headers, content: bytes | None) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shim") as client:
            sent = [(name.encode(), value.encode()) for name, value in headers.items()]
            return await client.request(method, path, headers=sent, content=content, timeout=30)


def problem(answer: httpx.Response) -> tuple[int, Json]:
    """Return what an error answer says: its status and its body."""
    return answer.status_code, answer.json()
