"""Wake-ups: a worker says that a job has a new state, and whoever waits for it looks."""

from __future__ import annotations

import structlog
from redis import Redis, RedisError

from worker.jobs import Job, JobStatus

CHANNEL = "hubspot-export:job-changed"

_log = structlog.get_logger()


class RedisAnnouncer:
    """Publishes the ids and states of changed jobs. Nobody depends on it: who waits also looks from time to time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def announce(self, job: Job) -> None:
        """Say that the job has a new state."""
        try:
            self._redis.publish(CHANNEL, f"{job.job_id} {job.status}")
        except RedisError as error:
            _log.warning("wake_up_not_sent", job_id=job.job_id, error=type(error).__name__)


def read_announcement(data: bytes) -> tuple[str, JobStatus]:
    """Give the job's id and its new state."""
    job_id, _, status = data.decode().rpartition(" ")
    return job_id, JobStatus(status)
