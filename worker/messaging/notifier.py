"""Notifications from workers to those who wait: a job has a new state, or an RPC request its answer."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import structlog
from redis import Redis, RedisError

from worker.jobs.job import Job
from worker.jobs.status import JobStatus

CHANNEL = "hubspot-export:job-changed"


class Arrival(Enum):
    """Events besides new states. A shim of an older version ignores them, and waits for the state."""

    PAGE = "page"
    """The only page of a job is stored."""


Announced: TypeAlias = JobStatus | Arrival

_log = structlog.get_logger()


class RedisJobNotifier:
    """Publishes ids and states. Losing one is harmless: those who wait poll from time to time as well."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def notify(self, job: Job) -> None:
        self._tell(job.job_id, job.status)

    def notify_page(self, job: Job) -> None:
        self._tell(job.job_id, Arrival.PAGE.value)

    def notify_answer(self, rpc_id: str) -> None:
        self._tell(rpc_id, JobStatus.SUCCEEDED)  # an RPC request has no states of its own on this channel

    def _tell(self, waited_for: str, event: str) -> None:
        try:
            self._redis.publish(CHANNEL, f"{waited_for} {event}")
        except RedisError as error:
            _log.warning("notification_not_sent", waited_for=waited_for, error=type(error).__name__)


def read_announcement(data: bytes) -> tuple[str, Announced]:
    """Return the id of the job or RPC request, and its new state or event. Raises ValueError."""
    waited_for, _, event = data.decode().rpartition(" ")
    return waited_for, Arrival.PAGE if event == Arrival.PAGE.value else JobStatus(event)
