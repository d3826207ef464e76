"""DelayedPublisher: publishes a job at the moment its short wait is over, from one thread."""

from __future__ import annotations

import heapq
import itertools
import threading
import time

import structlog

from worker.errors import UnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.messaging.interfaces import JobQueue

_log = structlog.get_logger()

_LONGEST_S = 60.0  # a longer wait is left to the sweeper alone, which is at most some seconds late
_LATER_S = 0.02  # the database decides whether a job is due, on its own clock, in milliseconds


class DelayedPublisher:
    """A convenience: should this process end first, the sweeper publishes instead."""

    def __init__(self, queue: JobQueue, *, jobs: JobStore) -> None:
        self._queue = queue
        self._jobs = jobs
        self._order = itertools.count()
        self._due: list[tuple[float, int, Job]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def publish_in(self, delay_s: float, job: Job) -> None:
        """Publish the job after so many seconds."""
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
                self._jobs.mark_published(job)  # or a sweep that comes before a worker does would publish it again
            except UnavailableError:
                _log.warning("ring_not_published", **job.log_fields)
            except Exception:  # the outermost loop of a thread that has to outlive whatever happens
                _log.exception("ring_not_published", **job.log_fields)

    def _next(self) -> Job:
        with self._changed:
            while not self._due or self._due[0][0] > time.monotonic():
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return heapq.heappop(self._due)[2]
