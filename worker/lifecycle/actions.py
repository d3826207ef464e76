"""JobActions: cancel, retry, delete, and the rest of what a process that died in the middle of one has left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from worker.accounts.interfaces import ConnectionStore
from worker.accounts.portal_interfaces import PresentPortals
from worker.errors import (
    BrokerUnavailableError,
    JobNotFoundError,
    ReconnectRequiredError,
    StoreUnavailableError,
    TokenUnreadableError,
    UnavailableError,
)
from worker.jobs.interfaces import JobQuery, JobStore
from worker.jobs.job import Job
from worker.jobs.status import IllegalChangeError, JobStatus
from worker.jobs.sync import follow
from worker.lifecycle.completion import close, end_sync, propagate_to_sync, with_erased
from worker.messaging.interfaces import JobNotifier, JobQueue
from worker.messaging.publish import publish_or_note
from worker.pages.interfaces import PageStore

_log = structlog.get_logger()

_TRIES = 10  # a job moves on between being read and being written, but not for ever


class JobActions:
    """What callers may do to a job. Each is one atomic change of the job; once that is done the rest can be made up.

    A change that was made is never reported as a failure because the rest of it has to wait for the sweeper.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        jobs: JobStore,
        pages: PageStore,
        queue: JobQueue,
        result_ttl: timedelta,
        clock: Callable[[], datetime],
        notifier: JobNotifier | None = None,
        connections: ConnectionStore | None = None,
        portals: PresentPortals | None = None,
    ) -> None:
        self._jobs = jobs
        self._pages = pages
        self._queue = queue
        self._result_ttl = result_ttl
        self._clock = clock
        self._notifier = notifier
        self._connections = connections
        self._portals = portals

    def show(self, job_id: str, *, account_id: str) -> Job:
        """Read a job, and what was erased of it. Raises JobNotFoundError, also for one that has expired."""
        return with_erased([self.find(job_id, account_id=account_id)], jobs=self._jobs, pages=self._pages)[0]

    def find(self, job_id: str, *, account_id: str) -> Job:
        """Read a job for its results or its state alone. Raises JobNotFoundError, also for one that has expired."""
        job = self._jobs.get(job_id, account_id=account_id)
        if job.has_expired(at=self._clock()):
            raise JobNotFoundError
        return self._followed([job])[0]

    def states_of(self, job_ids: Sequence[str]) -> Mapping[str, JobStatus | None]:
        """Read the states of jobs in one query, None where one is gone; of a sync the one that is stored."""
        found = self._jobs.states_of(job_ids)
        return {job_id: found.get(job_id) for job_id in job_ids}

    def as_of_now(self, jobs: Sequence[Job]) -> list[Job]:
        """Return jobs as they were read, but the progress of syncs, and what was erased, as it is at this moment."""
        return with_erased(self._followed(jobs), jobs=self._jobs, pages=self._pages)

    def newest(self, wanted: JobQuery) -> list[Job]:
        """List an account's jobs."""
        return self.as_of_now(self._jobs.newest(wanted))

    def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Cancel a job that nobody works on at once, any other at its next page; of a sync all that is unfinished.

        Raises JobNotFoundError, and IllegalChangeError for a job that is finished.
        """
        job = self.find(job_id, account_id=account_id)
        if not job.is_expanded:
            return self.as_of_now([self._cancel(job)])[0]
        job.cancel(at=self._clock())
        for child in self._jobs.children_of([job]):
            with suppress(IllegalChangeError):
                self._cancel(child)
        return self.show(job_id, account_id=account_id)

    def retry(self, job_id: str, *, account_id: str) -> Job:
        """Have a failed or cancelled job go on from its last stored page; of a sync all that failed or was cancelled.

        Raises JobNotFoundError, IllegalChangeError for a job in any other state, and PortalChangedError where its
        account is known to be connected to another portal by now; otherwise the worker finds that out.
        """
        for _ in range(_TRIES):
            job = self.find(job_id, account_id=account_id)
            queued = job.retry(at=self._clock())
            self._require_its_portal(job)
            if job.is_expanded or job.parent_id is not None:
                return self._retry_children(job)
            self._give_token_another_chance([job])
            if self._jobs.change(job, queued):
                self._ring_for(queued)
                return queued
        raise _restless()

    def delete(self, job_id: str, *, account_id: str) -> None:
        """Remove a job and its results, a sync with its children.

        Raises JobNotFoundError, and IllegalChangeError for a running job and for the child of a sync.
        """
        for _ in range(_TRIES):
            job = self.find(job_id, account_id=account_id)
            if job.parent_id is not None:
                raise IllegalChangeError(f"The job is part of the sync {job.parent_id}: delete that")
            if job.status is JobStatus.RUNNING:
                raise IllegalChangeError("The job is running: cancel it first")
            if self._jobs.start_removal(job):
                with suppress(StoreUnavailableError):
                    for each in (*job.children, job_id):
                        self._finish_removal(each)
                return
        raise _restless()

    def settle(self, job: Job) -> Job:
        """Return a finished job its receipt, and it and its pages their end."""
        if job.sync is not None:
            end_sync(job, jobs=self._jobs, pages=self._pages, result_ttl=self._result_ttl)
            return self._jobs.find(job.job_id) or job
        settled = close(job, pages=self._pages, result_ttl=self._result_ttl)
        self._jobs.change(job, settled)
        self._tell_sync(settled)
        return settled

    def make_up(self, *, quiet_s: float, limit: int) -> None:
        """Do the rest of what was interrupted `quiet_s` seconds ago or earlier."""
        removed, endless = self._jobs.take_unsettled(quiet_s=quiet_s, limit=limit)
        for job_id in removed:
            self._finish_removal(job_id)
        for job in endless:
            self._see_to(job, self.settle)

    def follow_up(self, *, quiet_s: float, limit: int) -> None:
        """Have syncs follow their children where whoever should have seen to it `quiet_s` seconds ago did not."""
        for job in self._jobs.take_unfollowed(quiet_s=quiet_s, limit=limit):
            self._see_to(job, partial(self._tell_sync, is_swept=True))

    def _see_to(self, job: Job, act: Callable[[Job], object]) -> None:
        """Finish what is left to do for a job. A failure of one job does not keep others waiting."""
        try:
            act(job)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - logged below, with the id of the job
            _log.exception("job_not_seen_to", **job.log_fields)

    def _followed(self, jobs: Sequence[Job]) -> list[Job]:
        going_on = [job for job in jobs if job.is_expanded and not job.status.is_terminal]
        if not going_on:
            return list(jobs)
        children = {child.job_id: child for child in self._jobs.children_of(going_on)}
        return [follow(job, [children[each] for each in job.children if each in children]) for job in jobs]

    def _cancel(self, job: Job) -> Job:
        for _ in range(_TRIES):
            ended = job.cancel(at=self._clock())
            if job.lease is not None and self._jobs.request_cancel(job):
                return job
            if job.lease is None and self._jobs.change(job, ended):
                return self._see_off(ended) or ended.expire(after=self._result_ttl)
            job = self._jobs.get(job.job_id, account_id=job.account_id)
        raise _restless()

    def _retry_children(self, job: Job) -> Job:
        """Have a sync go on with those of its children that are asked for and have not succeeded: one, or all.

        It is opened first, so that it has no end while one of them is at work, and follows them last. Each step may be
        done again by another caller; a process that dies in between leaves a sync that follows what was done.
        """
        sync = self._jobs.find(job.parent_id) if job.parent_id is not None else job
        if sync is None:
            raise JobNotFoundError
        self._jobs.reopen(sync)
        stopped = []
        for child in self._jobs.children_of([sync]):
            is_asked_for = job.job_id in {child.job_id, sync.job_id}
            if is_asked_for and child.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
                stopped.append(child)
            elif child.expires_at is not None:
                self._jobs.change(child, replace(child, expires_at=None))
        self._give_token_another_chance(stopped)
        queued = [(child, child.retry(at=self._clock())) for child in stopped]
        self._ring_for(*(after for before, after in queued if self._jobs.change(before, after)))
        self._tell_sync(sync)
        return self.show(job.job_id, account_id=job.account_id)

    def _require_its_portal(self, job: Job) -> None:
        if self._portals is not None and job.hub_id is not None:
            with suppress(TokenUnreadableError):
                job.require_portal(self._portals.connected(job.account_id, job.owner))

    def _ring_for(self, *queued: Job) -> None:
        with suppress(BrokerUnavailableError):
            publish_or_note(*queued, queue=self._queue, jobs=self._jobs)

    def _tell_sync(self, job: Job, *, is_swept: bool = False) -> None:
        propagate_to_sync(
            job,
            jobs=self._jobs,
            pages=self._pages,
            notifier=self._notifier,
            result_ttl=self._result_ttl,
            is_swept=is_swept,
        )

    def _give_token_another_chance(self, retried: Sequence[Job]) -> None:
        """Have HubSpot asked about a refused token again: someone thinks that it works by now."""
        codes = {job.error.code for job in retried if job.error is not None}
        if self._connections is not None and ReconnectRequiredError.code in codes:
            self._connections.ask_again(retried[0].account_id, retried[0].owner)

    def _see_off(self, job: Job) -> Job | None:
        if self._notifier is not None:
            self._notifier.notify(job)
        try:
            if job.tally.proves_distinct:
                return self.settle(job)
            self._tell_sync(job)  # its ids have to be counted one by one, which is nothing to keep a caller waiting for
        except StoreUnavailableError:
            return None
        return None

    def _finish_removal(self, job_id: str) -> None:
        self._pages.remove(job_id)
        self._jobs.finish_removal(job_id)


def _restless() -> IllegalChangeError:
    return IllegalChangeError("The job's state changes all the time: try again")
