"""Publishing a stored job; where the broker is away, the next sweep does it."""

from __future__ import annotations

from contextlib import suppress

from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.interfaces import JobQueue, JobStore
from worker.jobs import Job


def publish_or_note(job: Job, *, queue: JobQueue, jobs: JobStore) -> None:
    """Ring for a stored job. Raises BrokerUnavailableError once it is noted that nobody was rung for it.

    Where that cannot be noted either, the sweeper comes a minute later.
    """
    try:
        queue.publish(job)
    except BrokerUnavailableError:
        with suppress(StoreUnavailableError):
            jobs.mark_unpublished([job])
        raise
