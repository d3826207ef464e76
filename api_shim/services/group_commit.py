"""GroupCommit: stores and publishes together the jobs that arrive within some milliseconds of each other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol, TypeAlias

import structlog

from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.turn import StoredJobs
from worker.lifecycle.idempotency import KeyedRequest
from worker.lifecycle.submit_group import NewJob
from worker.telemetry.metrics import JobMetrics

_log = structlog.get_logger()

MOST_AT_ONCE = 4
"""Groups that may be stored at the same time, and published."""

_MOST_JOBS = 100  # of 64 KB at most: far from what one call may hold
_APART_S = 0.008  # of groups that begin, at least: a lone job begins at once, those right behind it go together
_WITHIN_S = 2.5  # a client is told within 3 s that the database is away, or that its job is stored
_AT_LEAST_S = 0.3  # for the broker, however late it is asked, and for the database, or it is not asked any more


class Outcome(Enum):
    """What became of a job."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    """It is stored; the sweeper publishes it."""
    ALONE = "alone"
    """It is not stored with the others: it has to be submitted by itself, which says what is wrong, if anything is."""


class Storing(Protocol):
    """Stores a group within so many seconds. Raises StoreUnavailableError."""

    def __call__(self, group: Sequence[NewJob], *, within_s: float) -> StoredJobs:
        """Store what can be stored with others."""


Starting: TypeAlias = Callable[[StoredJobs], Future[None]]
"""Begins to publish in a thread of its own. Raises BrokerUnavailableError where all threads are taken."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A job whose client waits, until this instant of the loop's clock."""

    new: NewJob
    outcome: asyncio.Future[Outcome]
    ends_at: float

    def tell(self, outcome: Outcome) -> None:
        """Let the client's request go on, if it still waits."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: StoreUnavailableError) -> None:
        """Let the client's request fail."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class GroupCommit:
    """Of one event loop, which does no more than collect; threads store and publish.

    Nobody waits for others to come: the first job begins a group as soon as the loop has heard of those that came with
    it. The next group begins 8 ms later, unless four are being stored. A client that goes away changes nothing: its job
    is stored like the others. A broker that says nothing holds four threads, and no group longer than its clients wait.
    """

    def __init__(
        self,
        *,
        store: Storing,
        start_publishing: Starting,
        mark_unpublished: Callable[[Sequence[Job]], None],
        metrics: JobMetrics,
    ) -> None:
        self._store = store
        self._start_publishing = start_publishing
        self._mark_unpublished = mark_unpublished
        self._metrics = metrics
        self._storing = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="store")
        self._marking = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="mark")
        self._publishing = asyncio.Semaphore(MOST_AT_ONCE)
        self._waiting = deque[_Waiting]()
        self._being_stored = 0
        self._begins: asyncio.Handle | None = None
        self._next_at = float("-inf")
        self._commits = set[asyncio.Task[None]]()

    async def submit(self, job: Job, asked: KeyedRequest | None = None) -> Outcome:
        """Store and publish a job with others.

        Raises StoreUnavailableError: of a job that came with a key the request may be sent again, of one without it is
        not known whether it was stored.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append(_Waiting(NewJob(job=job, asked=asked), outcome, loop.time() + _WITHIN_S))
        self._begin_in_time(loop)
        return await outcome

    def close(self) -> None:
        """Let the threads end when they are done."""
        self._storing.shutdown(wait=False)
        self._marking.shutdown(wait=False)

    def _begin_in_time(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a group when its time has come, unless there is nobody for it, or as many as may be are being stored.

        It begins in a context of its own: what is logged on the way is not about the request that came first.
        """
        if self._begins is not None or not self._waiting or self._being_stored >= MOST_AT_ONCE:
            return
        pause_s, context = self._next_at - loop.time(), Context()
        if pause_s > 0:
            self._begins = loop.call_later(pause_s, self._begin, loop, context=context)
        else:
            self._begins = loop.call_soon(self._begin, loop, context=context)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begins = None
        self._next_at = loop.time() + _APART_S
        group = [self._waiting.popleft() for _ in range(min(_MOST_JOBS, len(self._waiting)))]
        late = [each for each in group if each.ends_at - loop.time() < _AT_LEAST_S]
        for each in late:
            each.fail(StoreUnavailableError())
        if in_time := group[len(late) :]:  # who came first is late first
            self._being_stored += 1
            commit = loop.create_task(self._commit(in_time))
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)
        self._begin_in_time(loop)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        stored = await self._stored(group)
        if stored is None:
            return
        ids = {job.job_id for job in stored.jobs}
        others = [each for each in group if each.new.job.job_id not in ids]
        for each in others:
            each.tell(Outcome.ALONE)
        if stored.jobs:
            outcome = await self._published(stored, ends_at=group[0].ends_at)
            for each in group:
                each.tell(outcome)

    async def _stored(self, group: Sequence[_Waiting]) -> StoredJobs | None:
        """Return what was stored; None where the database is away, and everyone was told so."""
        loop = asyncio.get_running_loop()
        store = partial(self._store, [each.new for each in group], within_s=group[0].ends_at - loop.time())
        try:
            return await loop.run_in_executor(self._storing, store)
        except StoreUnavailableError as error:
            for each in group:
                each.fail(error)
        except Exception:  # noqa: BLE001 - whatever it is, it is not the fault of all of them: each is tried by itself
            _log.exception("group_not_stored", jobs=len(group))
            for each in group:
                each.tell(Outcome.ALONE)
        finally:
            self._being_stored -= 1
            self._begin_in_time(loop)
        return None

    async def _published(self, stored: StoredJobs, *, ends_at: float) -> Outcome:
        """Publish within the time of the first client; what was not published is noted for the sweeper."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(max(ends_at, loop.time() + _AT_LEAST_S)), self._publishing:
                await asyncio.wrap_future(self._start_publishing(stored))
        except (BrokerUnavailableError, TimeoutError):
            self._metrics.publish_failures.inc(len(stored.jobs))
            with suppress(StoreUnavailableError):  # then the sweeper finds out later, and publishes as well
                await loop.run_in_executor(self._marking, self._mark_unpublished, stored.jobs)
            return Outcome.UNPUBLISHED
        self._metrics.published.inc(len(stored.jobs))
        return Outcome.PUBLISHED
