"""Syncer: makes the children of a sync; from then on it is their business."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_children
from worker.messaging.interfaces import JobQueue

_log = structlog.get_logger()


class Syncer:
    """Starts syncs. Any number of times and by any number at once: the children are made once."""

    def __init__(self, *, jobs: JobStore, queue: JobQueue, clock: Callable[[], datetime]) -> None:
        self._jobs = jobs
        self._queue = queue
        self._clock = clock

    def start(self, sync_id: str) -> None:
        """Make the children of a sync and publish them, unless that was done, or the sync was stopped.

        Raises StoreUnavailableError with nothing done, and BrokerUnavailableError with the children made: in either
        case the sweeper publishes.
        """
        sync = self._jobs.find(sync_id)
        if sync is None:
            _log.info("nothing_to_start", job_id=sync_id)
        else:
            self.start_read(sync)

    def start_read(self, sync: Job) -> None:
        """Start a sync that was stored or read just now, as `start` does; one that has moved on since is left alone."""
        if sync.is_expanded or sync.status is not JobStatus.QUEUED:
            _log.info("nothing_to_start", job_id=sync.job_id)
            return
        children = new_children(sync, at=self._clock())
        if self._jobs.expand(sync, children):
            _log.info("sync_started", children=len(children), **sync.log_fields)
            self._publish(children)

    def _publish(self, children: Sequence[Job]) -> None:
        """Publish one turn of the account: whoever claims a child publishes for the next, and voids other messages."""
        try:
            self._queue.publish(children[0])
        except BrokerUnavailableError:
            with suppress(StoreUnavailableError):
                self._jobs.mark_unpublished(children)
            raise


class StartingQueue:
    """A JobQueue that starts a sync instead of publishing it: whoever has asked for one sees its children at once."""

    def __init__(self, queue: JobQueue, syncer: Syncer) -> None:
        self._queue = queue
        self._syncer = syncer

    def publish(self, job: Job) -> None:
        """Publish a job, or the children of a sync. Raises BrokerUnavailableError."""
        if job.kind is not JobKind.SYNC:
            self._queue.publish(job)
            return
        try:
            self._syncer.start_read(job)
        except StoreUnavailableError:
            self._queue.publish(job)  # the sync is stored: a worker starts it
