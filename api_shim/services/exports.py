"""ExportService: creates and submits jobs, and waits for their pages and their changes of state."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import Caller
from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.group_commit import GroupCommit, Outcome
from api_shim.services.job_waiter import Hint, JobWaiter, Watch
from api_shim.services.webhook_rules import WebhookRules
from worker.errors import BrokerUnavailableError, JobNotFoundError, StoreUnavailableError
from worker.jobs.job import Job, Progress
from worker.jobs.request import ExportRequest, Origin, SyncRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_sync
from worker.jobs.webhook import Webhook
from worker.lifecycle.actions import JobActions
from worker.lifecycle.idempotency import KeyedRequest
from worker.lifecycle.submit import JobSubmitter
from worker.lifecycle.submit_once import KeyedSubmitter, Submission
from worker.messaging.notifier import Arrival
from worker.pages.interfaces import PageStore, RecordSlice
from worker.records.page import Page
from worker.records.types import ExportType

_MOST_CHARACTERS_IN_A_GROUP = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportService:
    """What routes call on the event loop: what is submitted in groups, and what waits.

    Stores block, so they are called in threads; `control` and `pages` are for routes that run in a thread themselves.
    """

    pages: PageStore
    submitter: JobSubmitter
    keyed_submitter: KeyedSubmitter
    group_commit: GroupCommit
    control: JobActions
    waiter: JobWaiter
    waiting_limit: WaitingLimit
    webhooks: WebhookRules
    clock: Callable[[], datetime]
    origin: Callable[[], Origin] = Origin

    def new_job(  # noqa: PLR0913 - what there is to know of a job
        self,
        caller: Caller,
        export_type: ExportType,
        kind: JobKind,
        request: ExportRequest,
        *,
        label: str | None = None,
        webhook: Webhook | None = None,
    ) -> Job:
        """Return a new job; it is not stored yet."""
        now = self.clock()
        return Job(
            job_id=str(uuid.uuid4()),
            account_id=caller.account_id,
            owner=caller.uid,
            export_type=export_type,
            kind=kind,
            request=request,
            label=label,
            origin=self.origin(),
            webhook=webhook,
            progress=Progress(offset=request.offset),
            created_at=now,
            updated_at=now,
        )

    def new_sync(
        self, caller: Caller, request: SyncRequest, *, label: str | None = None, webhook: Webhook | None = None
    ) -> Job:
        """Return a new sync; it is not stored yet."""
        made = new_sync(
            str(uuid.uuid4()),
            account_id=caller.account_id,
            owner=caller.uid,
            request=request,
            at=self.clock(),
            label=label,
            webhook=webhook,
        )
        return replace(made, origin=self.origin())

    async def submit(self, job: Job, asked: KeyedRequest | None = None) -> Submission:
        """Store and publish a job. With the broker away it stays accepted: the sweeper publishes it later.

        A key creates one job: a repeated request returns the first one, as it is now.
        Raises IdempotencyKeyReusedError, and IllegalChangeError when the key's job is gone.
        """
        # A sync is submitted by itself, since its children are created right away, and so is a request that is large
        # enough to hold others up.
        if (
            job.kind is JobKind.SYNC
            or _is_large(job.request)
            or await self.group_commit.submit(job, asked) is Outcome.ALONE
        ):
            submission = await run_in_threadpool(self._submit, job, asked)
        else:
            submission = Submission(job, warnings=self.submitter.warnings_for(job.account_id))
        _name_in_log(submission.job)
        return submission

    async def export_page(self, job: Job, *, wait_s: float) -> Page | Job:
        """Submit a page job and return its page; the job when it has failed, was cancelled, or the time is over.

        Raises BrokerUnavailableError after withdrawing the job, since no worker would take it in time, and
        TooManyRequestsError with nothing stored.
        """
        limit = self.waiting_limit.one_more(job.account_id, job.owner)
        # Watched before it is published: a worker may be done before the submission returns.
        with limit, self.waiter.watch(job.job_id, self.control.states_of) as watch:
            try:
                await self._submit_page(job)
            except BrokerUnavailableError:
                await run_in_threadpool(self.submitter.withdraw, job)
                raise
            _name_in_log(job)
            return await self._page_of(job, watch, wait_s=wait_s)

    async def wait_for_change(self, job_id: str, *, caller: Caller, wait_s: float) -> Job:
        """Return the job as soon as its state has changed, at the latest after `wait_s`.

        Raises JobNotFoundError, and TooManyRequestsError where it would have to wait.
        """
        read = self._reading(job_id, account_id=caller.account_id)
        # Watched before it is read: a change between the two would be missed.
        with self.waiter.watch(job_id, self.control.states_of) as watch:
            job = await read()
            if job.status.is_terminal or wait_s <= 0:
                return job
            with self.waiting_limit.one_more(caller.account_id, caller.uid):
                async for signal in watch.signals(within_s=wait_s):
                    if signal is Arrival.PAGE or signal is job.status:
                        continue
                    found = await watch.read(read)
                    if found.status is not job.status:
                        return found
                return await read()

    def records(self, job: Job, *, start: int, limit: int) -> RecordSlice:
        """Return checkpointed records without a gap; what lies beyond may be fetched again. Blocks.

        Raises JobNotFoundError when the job's pages have been removed since it was read.
        """
        remaining = min(limit, job.readable - start)
        if remaining <= 0:
            return RecordSlice(start, [])
        found = self.pages.read(job.job_id, job.records_type, counted=job.counted_pages, start=start, limit=remaining)
        if found.end == start:  # the pages went with the job, after it was read
            raise JobNotFoundError
        return found

    async def _submit_page(self, job: Job) -> None:
        """Raise what `JobSubmitter.submit` does."""
        outcome = await self.group_commit.submit(job)
        if outcome is Outcome.ALONE:
            await run_in_threadpool(self.submitter.submit, job)
        elif outcome is Outcome.UNPUBLISHED:
            raise BrokerUnavailableError

    def _submit(self, job: Job, asked: KeyedRequest | None) -> Submission:
        if asked is not None:
            submission = self.keyed_submitter.submit(job, asked)
        else:
            with suppress(BrokerUnavailableError):
                self.submitter.submit(job)
            submission = Submission(job)
        if job.kind is JobKind.SYNC or submission.is_repeat:
            submission = replace(submission, job=self._as_of_now(submission.job))
        return replace(submission, warnings=self.submitter.warnings_for(job.account_id))

    def _as_of_now(self, job: Job) -> Job:
        """Return an earlier job, or a sync, with what follows from other documents; with the database away without."""
        with suppress(StoreUnavailableError):
            if job.kind is JobKind.SYNC:
                return self.control.show(job.job_id, account_id=job.account_id)
            return self.control.as_of_now([job])[0]
        return job

    async def _page_of(self, job: Job, watch: Watch, *, wait_s: float) -> Page | Job:
        """Wait for the page of a page job, or for its end. Once the page is signalled the job need not be read."""
        read = self._reading(job.job_id, account_id=job.account_id)
        async for signal in watch.signals(within_s=wait_s):
            # The page is announced before the job's end is stored, which saves the client that write.
            if signal is Arrival.PAGE or signal is JobStatus.SUCCEEDED:
                return await run_in_threadpool(self.pages.get, job.job_id, 0)
            if signal is Hint.READ or signal.is_terminal:
                job = await watch.read(read)
            if job.status.is_terminal:
                break
        else:
            job = await read()
        if job.status is not JobStatus.SUCCEEDED:
            return job
        return await run_in_threadpool(self.pages.get, job.job_id, 0)

    def _reading(self, job_id: str, *, account_id: str) -> Callable[[], Coroutine[Any, Any, Job]]:
        return partial(run_in_threadpool, self.control.show, job_id, account_id=account_id)


def _is_large(request: ExportRequest) -> bool:
    return sum(map(len, (*(request.properties or ()), *request.history))) > _MOST_CHARACTERS_IN_A_GROUP


def _name_in_log(job: Job) -> None:
    """Bind the job's id to the rest of the request's log lines."""
    structlog.contextvars.bind_contextvars(job_id=job.job_id)
