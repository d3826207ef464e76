"""JobWaiter: wakes requests that wait, by one Redis subscription and one look a second for the whole process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, TypeAlias

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
_LOOK_EVERY_S = 1.0  # in case a notification is lost
_MOST_AT_ONCE = 1000


class Hint(Enum):
    """What is announced in place of a state."""

    LOOK = "look"
    """Read the job: it is gone, or the store is away."""


News: TypeAlias = Announced | Hint
Look: TypeAlias = Callable[[Sequence[str]], Mapping[str, JobStatus | None]]
"""Read the states of these ids in one query: None where one is gone; ids that are not known yet are left out.

Raises StoreUnavailableError. Blocks, and so is called in a thread.
"""


class _Watched:
    """One id that is waited for, by however many requests."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.watches: list[Watch] = []
        self._reading: asyncio.Task[Job] | None = None

    def tell(self, news: News, *, if_new: bool = False) -> None:
        """Wake all waiting requests, or those for which the state is new. What was read before is out of date."""
        told = [watch for watch in self.watches if not if_new or watch.is_new(news)]
        if told:
            self._reading = None
        for watch in told:
            watch.tell(news)

    async def read_once(self, read: Callable[[], Awaitable[Job]]) -> Job:
        """Read the job once for all requests that the same news has woken."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(_awaited(read))
            self._reading.add_done_callback(_forget_failure)
        return await asyncio.shield(self._reading)


class Watch:
    """News of one job, for one request."""

    def __init__(self, watched: _Watched) -> None:
        self._watched = watched
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self._told: News | None = None

    def is_new(self, news: News) -> bool:
        """Whether the state differs from what this request was told last; "read the job" may be told repeatedly."""
        return news is Hint.LOOK or news is not self._told

    def tell(self, news: News) -> None:
        """Pass on a new state."""
        self._told = news
        self._news.put_nowait(news)

    async def next_status(self, *, timeout_s: float) -> News | None:
        """Return the next news, mostly an announced state, or None when there was none in time."""
        try:
            return await asyncio.wait_for(self._news.get(), timeout_s)
        except TimeoutError:
            return None

    async def read(self, read: Callable[[], Awaitable[Job]]) -> Job:
        """Return the job as it is after the latest news. Requests that wait for the same job share one reading."""
        return await self._watched.read_once(read)


class JobWaiter:
    """Passes announcements on to waiting requests. A lost one costs a second at most: the store is read as well.

    The cost depends on the number of jobs that are waited for, not of requests: one query for up to a thousand jobs.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._watched: dict[str, _Watched] = {}
        self._own_thread: CapacityLimiter | None = None

    @contextmanager
    def watch(self, job_id: str, look: Look) -> Iterator[Watch]:
        """Listen for one job. Begin before the job is published, so that nothing is missed."""
        watched = self._watched.setdefault(job_id, _Watched(look))
        watch = Watch(watched)
        watched.watches.append(watch)
        try:
            yield watch
        finally:
            watched.watches.remove(watch)
            if not watched.watches:
                del self._watched[job_id]

    async def listen(self) -> None:
        """Pass announcements on until cancelled, through Redis' absences; the connections are closed then."""
        looking = asyncio.create_task(self._look_now_and_then())
        try:
            while True:
                await self._listen_once()
                await asyncio.sleep(_RECONNECT_S)
        finally:
            looking.cancel()
            await self._redis.aclose()

    async def _listen_once(self) -> None:
        try:
            async with self._redis.pubsub() as subscription:
                await subscription.subscribe(CHANNEL)
                while True:
                    await self._hear(subscription)
        except (RedisError, OSError) as error:
            _log.warning("not_listening", error=type(error).__name__)

    async def _hear(self, subscription: PubSub) -> None:
        """Wait for one message; after a silence ask for a sign of life. Raises RedisError when none comes."""
        message = await subscription.get_message(timeout=_SILENCE_S)
        if message is None:
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
            _log.warning("announcement_not_understood")  # another program's, or another version's: no reason to go deaf
            return
        if job_id in self._watched:
            self._watched[job_id].tell(status)

    async def _look_now_and_then(self) -> None:
        # A thread of its own: requests that wait for an absent server may occupy all threads of the pool.
        self._own_thread = CapacityLimiter(1)
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for look, ids in self._by_look().items():
                for begin in range(0, len(ids), _MOST_AT_ONCE):
                    await self._look(look, ids[begin : begin + _MOST_AT_ONCE])

    def _by_look(self) -> Mapping[Look, list[str]]:
        ids = defaultdict[Look, list[str]](list)
        for job_id, watched in self._watched.items():
            ids[watched.look].append(job_id)
        return ids

    async def _look(self, look: Look, ids: Sequence[str]) -> None:
        try:
            found = await anyio.to_thread.run_sync(look, ids, abandon_on_cancel=True, limiter=self._own_thread)
        except Exception:  # noqa: BLE001 - a failed read must not end the later ones; each request reads for itself
            found = dict.fromkeys(ids)
        for job_id, status in found.items():
            if job_id in self._watched:
                self._watched[job_id].tell(Hint.LOOK if status is None else status, if_new=True)


async def _awaited(read: Callable[[], Awaitable[Job]]) -> Job:
    return await read()


def _forget_failure(task: asyncio.Task[Job]) -> None:
    """Mark a failure as seen: those who waited for it may all have gone."""
    if not task.cancelled():
        task.exception()
