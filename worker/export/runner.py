"""Exporter: claims a job and runs one slice of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from contextvars import copy_context
from typing import TypeAlias
from zlib import crc32

import structlog

from worker.errors import LeaseLostError, StoreUnavailableError, UnavailableError
from worker.export.context import ExportContext, SliceLimits
from worker.export.interfaces import SliceOutcome
from worker.export.isolation import IsolationGate
from worker.export.leases import HeldLease, LeaseKeeper
from worker.export.slice import Slice
from worker.jobs.job import Job
from worker.jobs.status import JobKind
from worker.jobs.turn import AccountTurn
from worker.messaging.publish import publish_or_note
from worker.telemetry.tracing import NoTraces, Span

_log = structlog.get_logger()

_LOCKS = 64  # accounts may share a lock by chance, for the milliseconds that a claim takes

Watch: TypeAlias = Callable[[Job], AbstractContextManager[Span]]
"""Returns the span of a slice of a job."""


def _unwatched(_: Job) -> AbstractContextManager[Span]:
    return NoTraces().span("run_slice", "consumer")


class Exporter:
    """Runs slices of jobs. One object serves all threads of a worker: it keeps no state of a job.

    Whoever claims a job publishes the account's next ready one, and does so again when the slice is over. A claim voids
    the messages that were published before it, so that an account has one turn in a round of the queue, however many of
    its jobs wait.

    A job that would fail if its worker ended once more is alone in this process until its next page is stored: whatever
    ends a process ends it for all jobs in it, and only one of them is to blame.
    """

    def __init__(
        self,
        *,
        tools: ExportContext,
        keeper: LeaseKeeper,
        worker: str,
        limits: SliceLimits | None = None,
        watch: Watch = _unwatched,
    ) -> None:
        self._tools = tools
        self._keeper = keeper
        self._worker = worker
        self._limits = limits or SliceLimits()
        self._watch = watch
        self._gate = IsolationGate(stopping=tools.stopping)
        self._counting = tuple(threading.Lock() for _ in range(_LOCKS))

    def run_slice(self, job_id: str) -> SliceOutcome:
        """Work on a job until it is finished, has to wait, or its slice is over.

        A job that is not due, or that another worker holds, is left alone: messages may be delivered twice.
        Raises StoreUnavailableError when MongoDB is away: the lease is released once it is back, or lapses, and a
        sweep publishes the job again.
        """
        with self._gate.shared(), self._claim(job_id) as lease:
            if lease is None or not self._limits.is_last_try(lease.job):
                return self._work_under(lease, job_id=job_id)
            self._withdraw_claim(lease)
        return self._run_isolated(job_id)

    def take_turn(self, turn: AccountTurn) -> SliceOutcome:
        """Work on the account's next job as `run_slice` does, unless the account has all of its slots.

        Counting and claiming are one step for the threads of this process; each further process may be one too many.
        """
        with self._gate.shared(), ExitStack() as stack:
            with self._counting[crc32(turn.account_id.encode()) % _LOCKS]:
                if not self._tools.jobs.has_turn(turn, most=self._limits.slots_per_account):
                    return SliceOutcome.NOT_TAKEN
                lease = stack.enter_context(self._claim(turn))
            if lease is None or not self._limits.is_last_try(lease.job):
                return self._work_under(lease, account_id=turn.account_id)
            self._withdraw_claim(lease)
        return self._run_isolated(lease.job.job_id)

    def _claim(self, claimed: str | AccountTurn) -> AbstractContextManager[HeldLease | None]:
        return self._keeper.claim(claimed, worker=self._worker, at=self._tools.clock())

    def _withdraw_claim(self, lease: HeldLease) -> None:
        """Undo a claim: the end of this process is not to count while the job only waits to be alone in it."""
        if lease.job.lease is not None:
            self._tools.jobs.withdraw_claim(lease.job.job_id, worker=lease.job.lease.owner)

    def _run_isolated(self, job_id: str) -> SliceOutcome:
        """Work on a job with no other slice in this process; while another one has it, the sweep publishes again."""
        with self._gate.isolated() as is_alone:
            if not is_alone:
                return SliceOutcome.NOT_TAKEN
            _log.info("slice_isolated", job_id=job_id)
            with self._claim(job_id) as lease:
                return self._work_under(lease, job_id=job_id)

    def _work_under(self, lease: HeldLease | None, **asked: str) -> SliceOutcome:
        if lease is None:
            _log.info("nothing_to_claim", **asked)
            return SliceOutcome.NOTHING_TO_CLAIM
        job = lease.job
        with structlog.contextvars.bound_contextvars(epoch=job.epoch, **job.log_fields), self._watch(job) as span:
            # Beside the slice: nobody who waits for this job need wait for the account's next one.
            publishing = self._tools.storing.submit(copy_context().run, self._publish_next, job)
            try:
                outcome = self._work_on(lease)
            finally:
                has_begun = not publishing.cancel()  # where it has not begun, the query below does for both
                if has_begun:
                    self._tools.wait_for([publishing])
            span.note({"hubspot_export.outcome": outcome})
            self._publish_next(job)
            if has_begun:
                publishing.result()
            return outcome

    def _work_on(self, lease: HeldLease) -> SliceOutcome:
        try:
            Slice(lease, tools=self._tools, limits=self._limits).run()
        except LeaseLostError:
            _log.warning("lease_lost")
            self._discard_uncounted(lease.job)
            return SliceOutcome.LEASE_LOST
        return SliceOutcome.WORKED

    def _publish_next(self, worked_on: Job) -> None:
        """Publish for the account's next job.

        A message that is not taken relies on this query: after the claim, where it was published before that; after the
        end of the lease, where all slots of the account were taken.
        """
        try:
            ready = self._tools.jobs.next_due(worked_on.account_id, worked_on.line)
            if ready is not None:
                publish_or_note(ready, queue=self._tools.queue, jobs=self._tools.jobs)
        except UnavailableError:
            _log.warning("turn_not_published")

    def _discard_uncounted(self, held: Job) -> None:
        """Remove what was stored after others had finished the job, or it was gone: nobody else does.

        While they are at work it is left to them: whoever finishes a job keeps only what is counted.
        """
        with suppress(StoreUnavailableError):
            job = self._tools.jobs.find(held.job_id)
            if job is None:
                self._tools.pages.cut(held)
            elif job.status.is_terminal and job.kind is JobKind.EXPORT:
                self._tools.pages.keep_only(held, job.counted_pages)
