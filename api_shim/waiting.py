"""JobWaiter: wakes requests that wait for a job, one Redis subscription for the whole process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from worker.jobs import JobStatus
from worker.wakeups import CHANNEL, read_announcement

_log = structlog.get_logger()
_RECONNECT_S = 1.0
_SILENCE_S = 5.0


class Watch:
    """News of one job, for one request."""

    def __init__(self) -> None:
        self._news: asyncio.Queue[JobStatus] = asyncio.Queue()

    def tell(self, status: JobStatus) -> None:
        """Pass on a new state."""
        self._news.put_nowait(status)

    async def next_status(self, *, timeout_s: float) -> JobStatus | None:
        """Give the next state that is announced, or None when nothing was heard in time."""
        try:
            return await asyncio.wait_for(self._news.get(), timeout_s)
        except TimeoutError:
            return None


class JobWaiter:
    """Hands announcements to the requests that wait. A lost one costs time, not truth: who waits also looks."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.waiting = 0  # requests, now
        self._watches: defaultdict[str, list[Watch]] = defaultdict(list)

    @contextmanager
    def watch(self, job_id: str) -> Iterator[Watch]:
        """Listen for one job. Begin before the job is published, so that nothing is missed."""
        watch = Watch()
        self._watches[job_id].append(watch)
        self.waiting += 1
        try:
            yield watch
        finally:
            self.waiting -= 1
            self._watches[job_id].remove(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    async def listen(self) -> None:
        """Pass announcements on until cancelled, through Redis' absences; the connections are closed then."""
        try:
            while True:
                await self._listen_once()
                await asyncio.sleep(_RECONNECT_S)
        finally:
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
        for watch in self._watches.get(job_id, ()):
            watch.tell(status)
