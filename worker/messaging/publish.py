"""Publishing for stored jobs, at once or later; what is not published here the sweeper publishes."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from contextlib import suppress

import structlog

from worker.errors import BrokerUnavailableError, StoreUnavailableError, UnavailableError
from worker.jobs.job import Job
from worker.jobs.lease_interfaces import JobOutbox
from worker.messaging.interfaces import JobQueue

_log = structlog.get_logger()

_LONGEST_S = 60.0  # a longer wait is left to the sweeper, which is at most some seconds late
_LATER_S = 0.02  # whether a job is due is decided by the database's clock, in milliseconds


def publish_or_note(*stored: Job, queue: JobQueue, jobs: JobOutbox) -> None:
    """Publish stored jobs. Raises BrokerUnavailableError after noting which of them were not published.

    Where that cannot be noted either, the sweeper finds them a minute later.
    """
    for number, job in enumerate(stored):
        try:
            queue.publish(job)
        except BrokerUnavailableError:
            with suppress(StoreUnavailableError):
                jobs.mark_unpublished(stored[number:])
            raise


class DelayedPublisher:
    """Publishes a job once its short wait is over, from one thread. If this process ends first, the sweeper does."""

    def __init__(self, queue: JobQueue, *, jobs: JobOutbox) -> None:
        self._queue = queue
        self._jobs = jobs
        self._order = itertools.count()
        self._due: list[tuple[float, int, Job]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def publish_in(self, delay_s: float, job: Job) -> None:
        if delay_s > _LONGEST_S:
            return
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_s + _LATER_S, next(self._order), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_publishing, name="delayed", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _keep_publishing(self) -> None:
        while True:
            job = self._next()
            try:
                self._queue.publish(job)
                self._jobs.mark_published(job)  # otherwise a sweep that comes before a worker would publish it again
            except UnavailableError:
                _log.warning("delayed_publish_failed", **job.log_fields)
            except Exception:  # the outermost loop of a thread that must not end
                _log.exception("delayed_publish_failed", **job.log_fields)

    def _next(self) -> Job:
        with self._changed:
            while not self._due or self._due[0][0] > time.monotonic():
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return heapq.heappop(self._due)[2]
