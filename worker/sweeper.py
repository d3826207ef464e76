"""Sweeper: jobs that were stored but not published, or that stopped moving, are rung for again; so are webhooks."""

from __future__ import annotations

import structlog

from worker.control import JobControl
from worker.copy_upkeep import CopyUpkeep
from worker.delivery_rounds import DeliveryRounds
from worker.eraser import Eraser
from worker.errors import BrokerUnavailableError
from worker.interfaces import JobStore, WatchedJobQueue
from worker.jobs import Job

_log = structlog.get_logger()


class Sweeper:
    """Rings again for every job that is due and that nobody has been rung for lately.

    Any number may run at once: a job is marked as rung for by one of them, atomically, before it is published.

    Where there are no messages, a job that nobody took within `lost_s` has lost its own. Where there are some it most
    likely waits its turn: it is rung for again after `quiet_s`, and only while there are fewer messages than jobs to
    take, since a message too many lives on as long as its job does.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        jobs: JobStore,
        queue: WatchedJobQueue,
        control: JobControl,
        deliveries: DeliveryRounds,
        eraser: Eraser,
        copies: CopyUpkeep,
        quiet_s: float,
        lost_s: float,
        batch: int = 500,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._control = control
        self._deliveries = deliveries
        self._eraser = eraser
        self._copies = copies
        self._quiet_s = quiet_s
        self._lost_s = lost_s
        self._batch = batch

    def sweep(self) -> int:
        """Publish what is due; gives how many. Raises BrokerUnavailableError: a later sweep finds the rest."""
        jobs = self._unpublished()
        for number, job in enumerate(jobs):
            try:
                self._queue.publish(job)
            except BrokerUnavailableError:
                self._jobs.mark_unpublished(jobs[number:])
                raise
            _log.info("job_published_again", status=job.status, **job.log_fields)
        self._control.follow_up(quiet_s=self._lost_s, limit=self._batch)
        self._deliveries.go()
        self._control.make_up(quiet_s=self._quiet_s, limit=self._batch)
        self._copies.make_up()
        self._eraser.make_up()
        return len(jobs)

    def _unpublished(self) -> list[Job]:
        messages = self._queue.length()
        if messages == 0:
            return self._jobs.take_unpublished(quiet_s=self._lost_s, limit=self._batch)
        jobs = self._jobs.take_unpublished(quiet_s=None, limit=self._batch)
        missing = self._jobs.count_due() - messages - len(jobs)
        if missing <= 0:
            return jobs
        return jobs + self._jobs.take_unpublished(quiet_s=self._quiet_s, limit=min(missing, self._batch))
