"""ExportService: takes exports in, waits for them, and passes on what becomes of them; what the routes call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog
from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import Caller
from api_shim.downloads.lines import DownloadFormat, csv_lines, ndjson_lines
from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.group_commit import GroupCommit, Outcome
from api_shim.services.job_waiter import Hint, JobWaiter, Watch
from api_shim.services.webhook_rules import WebhookRules
from worker.errors import BrokerUnavailableError, JobNotFoundError, StoreUnavailableError
from worker.jobs.interfaces import JobQuery
from worker.jobs.job import Job, Progress
from worker.jobs.request import ExportRequest, Origin, SyncRequest
from worker.jobs.status import IllegalChangeError, JobKind, JobStatus
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportService:
    """The shim's way to jobs and pages. Stores block, so they are called in threads."""

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
        """Write a job down, not stored yet."""
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
        """Write a sync down, not stored yet."""
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
        """Accept a job. With the broker away it stays accepted: the sweeper publishes it later.

        A request that came with a key brings a job once; after that it is given the first one, as it stands now.
        Raises IdempotencyKeyReusedError, and IllegalChangeError when that job is gone.
        """
        submission = await self._submit_with_others(job, asked)
        if submission is None:
            submission = await run_in_threadpool(self._submit, job, asked)
        _name_in_log(submission.job)
        return submission

    async def export_page(self, job: Job, *, wait_s: float) -> Page | Job:
        """Accept a page job and return its page, or the job as it is when it has failed or the time is over.

        With the broker away no worker would take it in time: the job is withdrawn. Raises BrokerUnavailableError, and
        TooManyRequestsError with nothing stored.
        """
        limit = self.waiting_limit.one_more(job.account_id, job.owner)
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
        with self.waiter.watch(job_id, self.control.states_of) as watch:
            job = await self.get(job_id, account_id=caller.account_id)
            if job.status.is_terminal or wait_s <= 0:
                return job
            with self.waiting_limit.one_more(caller.account_id, caller.uid):
                return await self._wait_for_other(job, watch, wait_s=wait_s)

    async def get(self, job_id: str, *, account_id: str) -> Job:
        """Read one of the account's jobs, to be shown. Raises JobNotFoundError."""
        return await run_in_threadpool(self.control.show, job_id, account_id=account_id)

    async def find(self, job_id: str, *, account_id: str) -> Job:
        """Read one of the account's jobs for its results. Raises JobNotFoundError."""
        return await run_in_threadpool(self.control.find, job_id, account_id=account_id)

    async def newest(self, wanted: JobQuery) -> list[Job]:
        """List an account's jobs."""
        return await run_in_threadpool(self.control.newest, wanted)

    async def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Stop a job, now or at its next page. Raises JobNotFoundError, IllegalChangeError."""
        return await run_in_threadpool(self.control.cancel, job_id, account_id=account_id)

    async def retry(self, job_id: str, *, account_id: str) -> Job:
        """Have a failed or cancelled job go on. Raises JobNotFoundError, IllegalChangeError."""
        return await run_in_threadpool(self.control.retry, job_id, account_id=account_id)

    async def delete(self, job_id: str, *, account_id: str) -> None:
        """Remove a job with its results. Raises JobNotFoundError, IllegalChangeError."""
        await run_in_threadpool(self.control.delete, job_id, account_id=account_id)

    async def records(self, job: Job, *, start: int, limit: int) -> RecordSlice:
        """Read records that the job has checkpointed, without a gap; what is beyond may yet be fetched again.

        Raises JobNotFoundError when the job's pages have been removed since it was read.
        """
        left = min(limit, job.readable - start)
        if left <= 0:
            return RecordSlice(start, [])
        read = partial(self.pages.read, job.job_id, job.records_type, counted=job.counted_pages)
        found = await run_in_threadpool(read, start=start, limit=left)
        if found.end == start:
            raise JobNotFoundError
        return found

    async def finished(self, job_id: str, *, account_id: str) -> Job:
        """Read an export of which no more comes. Raises JobNotFoundError, and IllegalChangeError for any other job."""
        job = await self.get(job_id, account_id=account_id)
        if not job.status.is_terminal:
            raise IllegalChangeError(
                f"The job is {job.status}: its {job.records_type} can be downloaded when it has ended"
            )
        return job

    def lines(self, job: Job, file_format: DownloadFormat, *, with_bom: bool) -> Iterator[bytes]:
        """Return the lines of a download. They are read from the store as they are taken, so take them in a thread.

        Raises as `ndjson_lines` and `csv_lines` do.
        """
        if file_format is DownloadFormat.NDJSON:
            return ndjson_lines(self.pages, job)
        return csv_lines(self.pages, job, with_bom=with_bom)

    async def _submit_with_others(self, job: Job, asked: KeyedRequest | None) -> Submission | None:
        """Return what came of a job that was stored in a group; None where it has to be submitted by itself.

        So has a sync: its children are made right away.
        """
        if job.kind is JobKind.SYNC or await self.group_commit.submit(job, asked) is Outcome.ALONE:
            return None
        return Submission(job, warnings=self.submitter.warnings_for(job.account_id))

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
        warnings = self.submitter.warnings_for(job.account_id)
        return replace(submission, job=self._as_of_now(submission.job), warnings=warnings)

    def _as_of_now(self, job: Job) -> Job:
        """Look at what was accepted, of a sync at its children; where nobody can look it is shown as it was."""
        with suppress(StoreUnavailableError):
            if job.kind is JobKind.SYNC:
                return self.control.show(job.job_id, account_id=job.account_id)
            return self.control.as_of_now([job])[0]
        return job

    async def _page_of(self, job: Job, watch: Watch, *, wait_s: float) -> Page | Job:
        """Wait for the page of a page job, or for its end. Once it is announced the job need not be read."""
        ends_at = time.monotonic() + wait_s
        while (left_s := ends_at - time.monotonic()) > 0:
            news = await watch.next_status(timeout_s=left_s)
            if news is Arrival.PAGE or news is JobStatus.SUCCEEDED:
                return await run_in_threadpool(self.pages.get, job.job_id, 0)
            if news is Hint.LOOK or (isinstance(news, JobStatus) and news.is_terminal):
                job = await watch.read(partial(self.get, job.job_id, account_id=job.account_id))
            if job.status.is_terminal:
                break
        else:
            job = await self.get(job.job_id, account_id=job.account_id)
        if job.status is not JobStatus.SUCCEEDED:
            return job
        return await run_in_threadpool(self.pages.get, job.job_id, 0)

    async def _wait_for_other(self, job: Job, watch: Watch, *, wait_s: float) -> Job:
        """Wait until the job has another state than `job` has."""
        ends_at = time.monotonic() + wait_s
        read = partial(self.get, job.job_id, account_id=job.account_id)
        while (left_s := ends_at - time.monotonic()) > 0:
            news = await watch.next_status(timeout_s=left_s)
            if news is None or news is Arrival.PAGE or news is job.status:
                continue
            found = await watch.read(read)
            if found.status is not job.status:
                return found
        return await read()


def _name_in_log(job: Job) -> None:
    """Have the rest of the request's lines name the job that was accepted for it."""
    structlog.contextvars.bind_contextvars(job_id=job.job_id)
