"""Syncer: makes the children of a sync; from then on it is their business."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from worker.interfaces import JobQueue, JobStore
from worker.jobs import JobStatus
from worker.publishing import publish_or_note
from worker.syncs import new_children

_log = structlog.get_logger()


class Syncer:
    """Starts syncs. Any number of times and by any number at once: the children are made once."""

    def __init__(self, *, jobs: JobStore, queue: JobQueue, clock: Callable[[], datetime]) -> None:
        self._jobs = jobs
        self._queue = queue
        self._clock = clock

    def start(self, sync_id: str) -> None:
        """Make the children of a sync and ring for them, unless that was done, or the sync was stopped.

        Raises StoreUnavailableError with nothing done, and BrokerUnavailableError with the children made: in either
        case the sweeper rings.
        """
        sync = self._jobs.find(sync_id)
        if sync is None or sync.is_expanded or sync.status is not JobStatus.QUEUED:
            _log.info("nothing_to_start", job_id=sync_id)
            return
        children = new_children(sync, at=self._clock())
        if self._jobs.expand(sync, children):
            _log.info("sync_started", children=len(children), **sync.log_fields)
            publish_or_note(*children, queue=self._queue, jobs=self._jobs)
