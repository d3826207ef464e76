"""JobWaiter: wakes waiting requests, by one Redis subscription and one poll a second for the whole process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, Self, TypeAlias

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from worker.jobs.job import Job
from worker.jobs.status import JobStatus
from worker.messaging.notifier import CHANNEL, Announced, read_announcement

_log = structlog.get_logger()
_RECONNECT_S = 1.0
_SILENCE_S = 5.0
_POLL_EVERY_S = 1.0  # in case a notification is lost
_IDS_A_QUERY = 1000


class Hint(Enum):
    """What is signalled in place of a state."""

    READ = "read"
    """Read the job: it is gone, or the store is away."""


Signal: TypeAlias = Announced | Hint
ReadStates: TypeAlias = Callable[[Sequence[str]], Mapping[str, JobStatus | None]]
"""Read the states of these ids in one query: None where one is gone; ids that are not known yet are left out.

Raises StoreUnavailableError. Blocks, and so is called in a thread.
"""


class _Watched:
    """One id that any number of requests wait for."""

    def __init__(self, read_states: ReadStates) -> None:
        self.read_states = read_states
        self.watches: list[Watch] = []
        self._reading: asyncio.Task[Job] | None = None

    def signal(self, signal: Signal, *, if_new: bool = False) -> None:
        """Wake all waiting requests, or those to which the state is new. What was read before is out of date."""
        woken = [watch for watch in self.watches if not if_new or watch.is_new(signal)]
        if woken:
            self._reading = None
        for watch in woken:
            watch.signal(signal)

    async def read_once(self, read: Callable[[], Coroutine[Any, Any, Job]]) -> Job:
        if self._reading is None:
            self._reading = asyncio.create_task(read())
            self._reading.add_done_callback(_ignore_failure)
        # Shielded: the request that began the read may be cancelled while others wait for the same read.
        return await asyncio.shield(self._reading)


class Watch:
    """The signals of one job, for one request."""

    def __init__(self, watched: _Watched) -> None:
        self._watched = watched
        self._queue: asyncio.Queue[Signal] = asyncio.Queue()
        self._last: Signal | None = None

    def is_new(self, signal: Signal) -> bool:
        """Whether the state differs from the last one signalled; "read the job" may be signalled repeatedly."""
        return signal is Hint.READ or signal is not self._last

    def signal(self, signal: Signal) -> None:
        self._last = signal
        self._queue.put_nowait(signal)

    async def next_signal(self, *, timeout_s: float) -> Signal | None:
        """Return the next signal, usually a state; None when there was none in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def signals(self, *, within_s: float) -> Signals:
        """Iterate over the signals until the time is over.

        A signal can be lost: read once more after the loop.
        """
        return Signals(self, within_s=within_s)

    async def read(self, read: Callable[[], Coroutine[Any, Any, Job]]) -> Job:
        """Return the job as it is after the latest signal; requests that wait for the same job share one read."""
        return await self._watched.read_once(read)


class Signals:
    """The one loop in which requests wait. A class, since a generator that is left early has to be closed."""

    def __init__(self, watch: Watch, *, within_s: float) -> None:
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + within_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Signal:
        remaining_s = self._ends_at - self._loop.time()
        signal = await self._watch.next_signal(timeout_s=remaining_s) if remaining_s > 0 else None
        if signal is None:
            raise StopAsyncIteration
        return signal


class JobWaiter:
    """Passes notifications on to waiting requests. A lost one costs a second at most: the store is polled as well.

    The cost depends on the number of jobs that are waited for, not of requests: one query for up to a thousand jobs.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._watched: dict[str, _Watched] = {}
        self._own_thread: CapacityLimiter | None = None

    @contextmanager
    def watch(self, job_id: str, read_states: ReadStates) -> Iterator[Watch]:
        """Listen for one job. Begin before the job is published, so that nothing is missed."""
        watched = self._watched.setdefault(job_id, _Watched(read_states))
        watch = Watch(watched)
        watched.watches.append(watch)
        try:
            yield watch
        finally:
            watched.watches.remove(watch)
            if not watched.watches:
                del self._watched[job_id]

    async def listen(self) -> None:
        """Pass notifications on until cancelled, reconnecting to Redis; the connections are closed then."""
        polling = asyncio.create_task(self._poll())
        try:
            while True:
                await self._listen_once()
                await asyncio.sleep(_RECONNECT_S)
        finally:
            polling.cancel()
            await self._redis.aclose()

    async def _listen_once(self) -> None:
        try:
            async with self._redis.pubsub() as subscription:
                await subscription.subscribe(CHANNEL)
                while True:
                    await self._receive(subscription)
        except (RedisError, OSError) as error:
            _log.warning("not_listening", error=type(error).__name__)

    async def _receive(self, subscription: PubSub) -> None:
        """Wait for one message; ping after a silence. Raises RedisError when the ping is not answered."""
        message = await subscription.get_message(timeout=_SILENCE_S)
        if message is None:
            # A peer that vanished without closing the connection looks like one that has nothing to say.
            await subscription.ping()
            message = await subscription.get_message(timeout=_SILENCE_S)
        if message is None:
            raise RedisConnectionError("a connection that is open but dead")
        if message["type"] == "message":
            self._pass_on(message)

    def _pass_on(self, message: dict[str, Any]) -> None:
        try:
            job_id, status = read_announcement(message["data"])
        except ValueError:
            _log.warning("announcement_not_understood")  # from another program or another version: keep listening
            return
        if job_id in self._watched:
            self._watched[job_id].signal(status)

    async def _poll(self) -> None:
        # A thread of its own: requests that wait for an absent server may occupy all threads of the pool.
        self._own_thread = CapacityLimiter(1)
        while True:
            await asyncio.sleep(_POLL_EVERY_S)
            for read_states, ids in self._ids_by_query().items():
                for begin in range(0, len(ids), _IDS_A_QUERY):
                    await self._read_states(read_states, ids[begin : begin + _IDS_A_QUERY])

    def _ids_by_query(self) -> Mapping[ReadStates, list[str]]:
        ids = defaultdict[ReadStates, list[str]](list)
        for job_id, watched in self._watched.items():
            ids[watched.read_states].append(job_id)
        return ids

    async def _read_states(self, read_states: ReadStates, ids: Sequence[str]) -> None:
        try:
            found = await anyio.to_thread.run_sync(read_states, ids, abandon_on_cancel=True, limiter=self._own_thread)
        except Exception:  # noqa: BLE001 - a failed poll must not end polling; each request reads for itself
            found = dict.fromkeys(ids)
        for job_id, status in found.items():
            if job_id in self._watched:
                self._watched[job_id].signal(Hint.READ if status is None else status, if_new=True)


def _ignore_failure(task: asyncio.Task[Job]) -> None:
    # asyncio complains of an exception that nobody fetched, and every request that waited may have gone.
    if not task.cancelled():
        task.exception()
