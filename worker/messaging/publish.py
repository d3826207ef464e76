"""Publishing stored jobs; where the broker is away, the next sweep does it."""

from __future__ import annotations

from contextlib import suppress

from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.messaging.interfaces import JobQueue


def publish_or_note(*stored: Job, queue: JobQueue, jobs: JobStore) -> None:
    """Publish stored jobs. Raises BrokerUnavailableError once it is noted which of them were not published.

    Where that cannot be noted either, the sweeper comes a minute later.
    """
    for number, job in enumerate(stored):
        try:
            queue.publish(job)
        except BrokerUnavailableError:
            with suppress(StoreUnavailableError):
                jobs.mark_unpublished(stored[number:])
            raise
