"""The clients of a run: threads that submit exports and read pages at the planned times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

import requests

from benchmarks.soak.client import Client, UnexpectedAnswerError, describe, ids_of, job_of
from benchmarks.soak.ledger import Ledger, Promise, SmallExport
from benchmarks.soak.plan import READ_LIMIT, Plan, PlannedExport, PlannedRead
from benchmarks.soak.settling import ENDED
from sandbox.seeding import Account

ExpectedIds = Mapping[tuple[int, str], list[int]]
"""HubSpot's ids, ascending, by hub id and type."""

_THREADS = 4  # per kind of request: a synchronous read may take as long as the shim waits
_RETRY_S = 0.5
_POLL_S = 0.25
_QUEUED = "queued"
_PAGE, _ACCEPTED, _UNAVAILABLE = 200, 202, 503
_REFUSALS_OF_READS = frozenset(
    {429, 502, _UNAVAILABLE}
)  # HubSpot's errors after a few attempts, and servers that are down
_NO_ANSWERS = (UnexpectedAnswerError, requests.RequestException)


class _Timed(Protocol):
    @property
    def at_s(self) -> float: ...


_T = TypeVar("_T", bound=_Timed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """What the threads share. `key` is the prefix of the run's idempotency keys."""

    client: Client
    ledger: Ledger
    expected: ExpectedIds
    key: str


class Load:
    """The client threads of one plan; `started_at` is on the monotonic clock."""

    def __init__(self, plan: Plan, clients: Clients, *, started_at: float) -> None:
        self._clients = clients
        self._started_at = started_at
        self._stopping = threading.Event()
        self._threads = [
            *self._serving(plan.exports, self._submit),
            *self._serving(plan.flood, self._submit),
            *self._serving(plan.small, self._time, threads=len(plan.small)),  # so that no export waits for another
            *self._serving(plan.reads, self._read),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Drop the requests that have not been sent; those in flight complete."""
        self._stopping.set()

    @property
    def is_over(self) -> bool:
        """Whether every request was answered or dropped."""
        return not any(thread.is_alive() for thread in self._threads)

    def _serving(
        self, items: Iterable[_T], act: Callable[[_T], object], *, threads: int = _THREADS
    ) -> list[threading.Thread]:
        queue: SimpleQueue[_T] = SimpleQueue()
        for item in items:
            queue.put(item)
        return [threading.Thread(target=self._serve, args=(queue, act), daemon=True) for _ in range(threads)]

    def _serve(self, queue: SimpleQueue[_T], act: Callable[[_T], object]) -> None:
        while True:
            try:
                item = queue.get_nowait()
            except Empty:
                return
            if self._stopping.wait(max(0.0, self._started_at + item.at_s - time.monotonic())):
                return
            act(item)

    def _submit(self, export: PlannedExport) -> Promise | None:
        """Repeat until the product accepts, as documented for 503; None: stopped before."""
        try:
            while (answer := self._submit_once(export)).status_code == _UNAVAILABLE:
                if self._stopping.wait(_RETRY_S):
                    return None
            return self._accept(answer, export.account, export.export_type, limit=export.limit)
        except _NO_ANSWERS as error:
            self._complain_of(error, f"POST /export/{export.export_type}")
            return None

    def _time(self, export: PlannedExport) -> None:
        """Measure an export from its submission until it is seen to have ended."""
        began_at = time.monotonic()
        if (promise := self._submit(export)) is None:
            return
        accepted_at = time.monotonic()
        with self._complaining("GET /jobs"):
            taken_at = self._poll(promise, lambda status: status != _QUEUED)
            ended_at = self._poll(promise, lambda status: status in ENDED)
            if taken_at is not None and ended_at is not None:
                small = SmallExport(
                    accepted_s=accepted_at - began_at, taken_s=taken_at - began_at, ended_s=ended_at - began_at
                )
                self._clients.ledger.note_small(small)

    def _poll(self, promise: Promise, is_reached: Callable[[str], bool]) -> float | None:
        """Poll a job until its status satisfies the condition; return the time. None: the run is over."""
        while not is_reached(self._status_of(promise)):
            if self._stopping.wait(_POLL_S):
                return None
        return time.monotonic()

    def _status_of(self, promise: Promise) -> str:
        try:
            return str(self._clients.client.job(promise)["status"])
        except UnexpectedAnswerError:  # a server is down
            return _QUEUED

    def _submit_once(self, export: PlannedExport) -> requests.Response:
        answer = self._clients.client.submit(export, key=f"{self._clients.key}-{export.number}")
        self._clients.ledger.count_submission(str(answer.status_code))
        return answer

    def _read(self, read: PlannedRead) -> None:
        with self._complaining(f"GET /export/{read.export_type}"):
            began = time.monotonic()
            answer = self._clients.client.read(read)
            self._clients.ledger.count_read(str(answer.status_code), seconds=time.monotonic() - began)
            if answer.status_code == _PAGE:
                self._compare(read, answer)
            elif answer.status_code not in _REFUSALS_OF_READS:
                self._accept(answer, read.account, read.export_type, limit=READ_LIMIT)

    def _accept(
        self, answer: requests.Response, account: Account, export_type: str, limit: int | None = None
    ) -> Promise:
        """Record the accepted job: a new one, or the one of the same idempotency key."""
        expected = _ACCEPTED if answer.status_code != _PAGE else _PAGE
        job = job_of(answer, expected=expected)
        promise = Promise(job_id=job["job_id"], account=account, export_type=export_type, limit=limit)
        self._clients.ledger.promise(promise)
        return promise

    def _compare(self, read: PlannedRead, answer: requests.Response) -> None:
        expected = self._clients.expected[read.account.hub_id, read.export_type][:READ_LIMIT]
        found = ids_of(read.export_type, answer.json()["data"])
        if found != expected:
            self._complain(f"{describe(answer)}: the ids are {found} instead of {expected}")

    def _complain(self, complaint: str) -> None:
        self._clients.ledger.complain(complaint)

    @contextmanager
    def _complaining(self, what: str) -> Iterator[None]:
        """Record a request without an answer, or with an undocumented one."""
        try:
            yield
        except _NO_ANSWERS as error:
            self._complain_of(error, what)

    def _complain_of(self, error: Exception, what: str) -> None:
        self._complain(f"{what}: {type(error).__name__}: {error}")
