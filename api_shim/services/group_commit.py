"""GroupCommit: stores and publishes jobs together that arrive within a few milliseconds of each other."""

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
"""The number of groups that may be stored at the same time, and published."""

_MOST_JOBS = 100  # of at most 64 KB each: far below the limit of one call
_APART_S = 0.008  # between the starts of two groups: a lone job starts at once, those right behind it are grouped
_WITHIN_S = 2.5  # a client learns within 3 s that its job is stored, or that the database is away
_AT_LEAST_S = 0.3  # the broker gets this long, however late; with less left the database is not asked


class Outcome(Enum):
    """What became of a job."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    """Stored; the sweeper publishes it."""
    ALONE = "alone"
    """Not stored with the others: submitting it by itself either works or tells what is wrong."""


class Storing(Protocol):
    """Stores what can be stored of a group, within so many seconds. Raises StoreUnavailableError."""

    def __call__(self, group: Sequence[NewJob], *, within_s: float) -> StoredJobs: ...


Starting: TypeAlias = Callable[[StoredJobs], Future[None]]
"""Starts publishing in a thread of its own. Raises BrokerUnavailableError if all threads are taken."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A job whose client waits until `ends_at` by the loop's clock."""

    new: NewJob
    outcome: asyncio.Future[Outcome]
    ends_at: float

    def resolve(self, outcome: Outcome) -> None:
        """Resume the client's request, if it still waits."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: StoreUnavailableError) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class GroupCommit:
    """Collects jobs on one event loop; threads store and publish them.

    A job does not wait for others to arrive: the first one starts a group in the next turn of the loop, with those that
    came in the same turn. The next group starts 8 ms later, unless four are being stored. The job of a client that
    disconnects is stored like the others. A silent broker holds at most four threads, and no group longer than its
    clients wait.
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
        self._pending = deque[_Pending]()
        self._being_stored = 0
        self._begins: asyncio.Handle | None = None
        self._next_at = float("-inf")
        self._commits = set[asyncio.Task[None]]()

    async def submit(self, job: Job, asked: KeyedRequest | None = None) -> Outcome:
        """Store and publish a job with others.

        Raises StoreUnavailableError, after which it is not known whether the job was stored; a request with a key may
        be repeated.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        self._pending.append(_Pending(NewJob(job=job, asked=asked), outcome, loop.time() + _WITHIN_S))
        self._schedule(loop)
        return await outcome

    def close(self) -> None:
        """Let the threads end once they are idle."""
        self._storing.shutdown(wait=False)
        self._marking.shutdown(wait=False)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Schedule the next group, unless no job waits or the maximum number of groups is being stored.

        The group gets a context of its own: its log lines must not carry the ids of the first request.
        """
        if self._begins is not None or not self._pending or self._being_stored >= MOST_AT_ONCE:
            return
        pause_s, context = self._next_at - loop.time(), Context()
        if pause_s > 0:
            self._begins = loop.call_later(pause_s, self._begin, loop, context=context)
        else:
            self._begins = loop.call_soon(self._begin, loop, context=context)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begins = None
        self._next_at = loop.time() + _APART_S
        group = [self._pending.popleft() for _ in range(min(_MOST_JOBS, len(self._pending)))]
        late = [each for each in group if each.ends_at - loop.time() < _AT_LEAST_S]
        for each in late:
            each.fail(StoreUnavailableError())
        if in_time := group[len(late) :]:  # late jobs come first: all wait equally long
            self._being_stored += 1
            commit = loop.create_task(self._commit(in_time))
            # The loop holds only weak references to tasks.
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)
        self._schedule(loop)

    async def _commit(self, group: Sequence[_Pending]) -> None:
        stored = await self._stored(group)
        if stored is None:
            return
        ids = {job.job_id for job in stored.jobs}
        others = [each for each in group if each.new.job.job_id not in ids]
        for each in others:
            each.resolve(Outcome.ALONE)
        if stored.jobs:
            outcome = await self._published(stored, ends_at=group[0].ends_at)
            for each in group:
                each.resolve(outcome)

    async def _stored(self, group: Sequence[_Pending]) -> StoredJobs | None:
        """Return what was stored; None if nothing was, and every waiting request has its outcome."""
        loop = asyncio.get_running_loop()
        store = partial(self._store, [each.new for each in group], within_s=group[0].ends_at - loop.time())
        try:
            return await loop.run_in_executor(self._storing, store)
        except StoreUnavailableError as error:
            for each in group:
                each.fail(error)
        except Exception:  # noqa: BLE001 - one bad job must not fail the others: each is submitted by itself
            _log.exception("group_not_stored", jobs=len(group))
            for each in group:
                each.resolve(Outcome.ALONE)
        finally:
            self._being_stored -= 1
            self._schedule(loop)
        return None

    async def _published(self, stored: StoredJobs, *, ends_at: float) -> Outcome:
        """Publish before the first client's deadline; jobs that were not published are marked for the sweeper."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(max(ends_at, loop.time() + _AT_LEAST_S)), self._publishing:
                # A timeout does not stop the publication: it may still arrive, which does no harm.
                await asyncio.wrap_future(self._start_publishing(stored))
        except (BrokerUnavailableError, TimeoutError):
            self._metrics.publish_failures.inc(len(stored.jobs))
            with suppress(StoreUnavailableError):  # the sweeper publishes unmarked jobs as well, only later
                await loop.run_in_executor(self._marking, self._mark_unpublished, stored.jobs)
            return Outcome.UNPUBLISHED
        self._metrics.published.inc(len(stored.jobs))
        return Outcome.PUBLISHED
