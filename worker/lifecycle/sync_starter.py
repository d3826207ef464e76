"""Syncer: stores and publishes the children of a sync, from which its state is derived from then on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog

from worker.errors import BrokerUnavailableError, InvalidRequestError, StoreUnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_children
from worker.lifecycle.sync_types import SyncTypes
from worker.messaging.interfaces import JobQueue
from worker.records.enabled_types import ALL_TYPES, EnabledTypes

_log = structlog.get_logger()


class Syncer:
    """Starts syncs. Repeated and concurrent calls store the children once."""

    def __init__(
        self, *, jobs: JobStore, queue: JobQueue, clock: Callable[[], datetime], types: SyncTypes | None = None
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._clock = clock
        self._types = types or SyncTypes(enabled=EnabledTypes(), custom_objects=None, clock=clock)

    def start(self, sync_id: str) -> None:
        """Store and publish the children of a sync, unless that was done, or the sync was cancelled.

        Raises StoreUnavailableError with nothing done, and BrokerUnavailableError with the children stored: in either
        case the sweeper publishes.
        """
        sync = self._jobs.find(sync_id)
        if sync is None:
            _log.info("nothing_to_start", job_id=sync_id)
        else:
            self.start_read(sync)

    def start_read(self, sync: Job) -> None:
        """Start a sync that was just stored or read, as `start` does; one that has changed since is left alone."""
        if sync.is_expanded or sync.status is not JobStatus.QUEUED:
            _log.info("nothing_to_start", job_id=sync.job_id)
            return
        decided = self._decide_types(sync)
        if decided is None:
            return
        children = new_children(decided, at=self._clock())
        if self._jobs.expand(decided, children):
            _log.info("sync_started", children=len(children), **sync.log_fields)
            self._publish(children)

    def _decide_types(self, sync: Job) -> Job | None:
        """Return the sync with its types; None where it is not to be started now."""
        if sync.sync is None or ALL_TYPES not in sync.sync.types:
            return sync
        types = self._types.all_of(sync)
        if types is None:
            return None
        if not types:
            nothing = InvalidRequestError("types: the HubSpot account has none of those that are enabled")
            at = self._clock()
            begun = replace(sync, status=JobStatus.RUNNING, started_at=at)
            self._jobs.change(sync, begun.fail(nothing, at=at))
            return None
        # Stored before the children are: whoever starts it after a crash must not come to other types.
        if self._jobs.decide_types(sync, types):
            return replace(sync, sync=replace(sync.sync, types=types))
        _log.info("nothing_to_start", job_id=sync.job_id)  # another worker has decided, and goes on
        return None

    def _publish(self, children: Sequence[Job]) -> None:
        """Publish one turn of the account: whoever claims a child publishes for the next one."""
        try:
            self._queue.publish(children[0])
        except BrokerUnavailableError:
            with suppress(StoreUnavailableError):
                self._jobs.mark_unpublished(children)
            raise


class StartingQueue:
    """A JobQueue that starts syncs itself instead of publishing them: their callers see the children at once."""

    def __init__(self, queue: JobQueue, syncer: Syncer) -> None:
        self._queue = queue
        self._syncer = syncer

    def publish(self, job: Job) -> None:
        """Publish an export, or store and publish the children of a sync. Raises BrokerUnavailableError."""
        if job.kind is not JobKind.SYNC:
            self._queue.publish(job)
            return
        if job.sync is not None and ALL_TYPES in job.sync.types:
            self._queue.publish(job)  # a worker asks HubSpot which types there are
            return
        try:
            self._syncer.start_read(job)
        except StoreUnavailableError:
            self._queue.publish(job)  # the sync is stored: a worker starts it
