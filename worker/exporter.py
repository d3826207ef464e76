"""Exporter: claims a job and has one slice of it done."""

from __future__ import annotations

from contextlib import suppress

import structlog

from worker.errors import LeaseLostError, StoreUnavailableError
from worker.export_tools import ExportTools, SliceLimits
from worker.interfaces import SliceOutcome
from worker.jobs import Job, JobKind
from worker.leases import HeldLease, LeaseKeeper
from worker.slices import Slice

_log = structlog.get_logger()


class Exporter:
    """Runs slices of jobs. One object serves all threads of a worker: it keeps no state of a job."""

    def __init__(
        self, *, tools: ExportTools, keeper: LeaseKeeper, worker: str, limits: SliceLimits | None = None
    ) -> None:
        self._tools = tools
        self._keeper = keeper
        self._worker = worker
        self._limits = limits or SliceLimits()

    def run_slice(self, job_id: str) -> SliceOutcome:
        """Work on a job until it is finished, has to wait, or its slice is over.

        A job that is not due, or that someone else holds, is left alone: messages may come twice.
        Raises StoreUnavailableError when MongoDB is away: the lease is given up once it is back, or lapses, and the
        sweeper rings again.
        """
        with self._keeper.claim(job_id, worker=self._worker, at=self._tools.clock()) as lease:
            if lease is None:
                _log.info("nothing_to_claim", job_id=job_id)
                return SliceOutcome.NOTHING_TO_CLAIM
            with structlog.contextvars.bound_contextvars(epoch=lease.job.epoch, **lease.job.log_fields):
                return self._work_on(lease)

    def _work_on(self, lease: HeldLease) -> SliceOutcome:
        try:
            Slice(lease, tools=self._tools, limits=self._limits).run()
        except LeaseLostError:
            _log.warning("lease_lost")
            self._take_back(lease.job)
            return SliceOutcome.LEASE_LOST
        return SliceOutcome.WORKED

    def _take_back(self, held: Job) -> None:
        """Remove what was stored when others had finished the job, or it was gone: nobody else looks for that.

        While they are at work it is left to them: whoever finishes a job keeps only what is counted.
        """
        with suppress(StoreUnavailableError):
            job = self._tools.jobs.find(held.job_id)
            if job is None:
                self._tools.pages.cut(held)
            elif job.status.is_terminal and job.kind is JobKind.EXPORT:
                self._tools.pages.keep_only(held, job.counted_pages)
