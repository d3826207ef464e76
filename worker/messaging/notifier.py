"""Wake-ups: a worker says that a job has a new state, or an RPC request its answer, and whoever waits for it looks."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import structlog
from redis import Redis, RedisError

from worker.jobs.job import Job
from worker.jobs.status import JobStatus

CHANNEL = "hubspot-export:job-changed"


class Arrival(Enum):
    """What is announced besides states. A shim of an older version understands none of it, and waits for the state."""

    PAGE = "page"
    """The only page of a job is stored."""


Announced: TypeAlias = JobStatus | Arrival

_log = structlog.get_logger()


class RedisJobNotifier:
    """Publishes ids and states. Nobody depends on it: who waits also looks from time to time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def notify(self, job: Job) -> None:
        """Say that the job has a new state."""
        self._tell(job.job_id, job.status)

    def notify_page(self, job: Job) -> None:
        """Say that the job's only page is stored."""
        self._tell(job.job_id, Arrival.PAGE.value)

    def notify_answer(self, rpc_id: str) -> None:
        """Say that an RPC request has its answer, in the words that are used for jobs."""
        self._tell(rpc_id, JobStatus.SUCCEEDED)

    def _tell(self, waited_for: str, news: str) -> None:
        try:
            self._redis.publish(CHANNEL, f"{waited_for} {news}")
        except RedisError as error:
            _log.warning("wake_up_not_sent", waited_for=waited_for, error=type(error).__name__)


def read_announcement(data: bytes) -> tuple[str, Announced]:
    """Give the id of the job or the RPC request, and its new state or what has arrived. Raises ValueError."""
    waited_for, _, news = data.decode().rpartition(" ")
    return waited_for, Arrival.PAGE if news == Arrival.PAGE.value else JobStatus(news)
