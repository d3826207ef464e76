"""JobActions: cancel, retry and delete, and the recovery of what a process left when it died half way."""

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
from worker.lifecycle.completion import JobFinisher, with_erased
from worker.messaging.interfaces import JobNotifier, JobQueue
from worker.messaging.publish import publish_or_note
from worker.pages.interfaces import PageStore

_log = structlog.get_logger()

_TRIES = 10  # a job may change between being read and being written, but not each time


class JobActions:
    """What callers may do to a job. Each begins with one atomic change of it; the sweeper can do whatever follows.

    So once that change is made, the caller is never told of a failure of the rest.
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
        self._finisher = JobFinisher(jobs=jobs, pages=pages, result_ttl=result_ttl, notifier=notifier)
        self._connections = connections
        self._portals = portals

    def show(self, job_id: str, *, account_id: str) -> Job:
        """Return a job with what was erased of it. Raises JobNotFoundError, also for one that has expired."""
        return with_erased([self.find(job_id, account_id=account_id)], jobs=self._jobs, pages=self._pages)[0]

    def find(self, job_id: str, *, account_id: str) -> Job:
        """Return a job for its results or its state. Raises JobNotFoundError, also for one that has expired."""
        job = self._jobs.get(job_id, account_id=account_id)
        if job.has_expired(at=self._clock()):
            raise JobNotFoundError
        return self._followed([job])[0]

    def states_of(self, job_ids: Sequence[str]) -> Mapping[str, JobStatus | None]:
        """Return the states of jobs, None for one that is gone, in one query; of a sync the one that is stored."""
        found = self._jobs.states_of(job_ids)
        return {job_id: found.get(job_id) for job_id in job_ids}

    def as_of_now(self, jobs: Sequence[Job]) -> list[Job]:
        """Return jobs as they were read, with the current progress of syncs and what was erased by now."""
        return with_erased(self._followed(jobs), jobs=self._jobs, pages=self._pages)

    def newest(self, wanted: JobQuery) -> list[Job]:
        return self.as_of_now(self._jobs.newest(wanted))

    def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Cancel a free job at once, a leased one at its next page; of a sync all children that are unfinished.

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
        """Requeue a failed or cancelled job from its last stored page; of a sync all children that are either.

        Raises JobNotFoundError, IllegalChangeError for a job in any other state, and PortalChangedError where the
        account is known to be connected to another portal; where that is not known the worker finds out.
        """
        for _ in range(_TRIES):
            job = self.find(job_id, account_id=account_id)
            queued = job.retry(at=self._clock())
            self._require_its_portal(job)
            if job.is_expanded or job.parent_id is not None:
                return self._retry_children(job)
            self._allow_token_again([job])
            if self._jobs.change(job, queued):
                self._publish(queued)
                return queued
        raise _modified_concurrently()

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
        raise _modified_concurrently()

    def finalise(self, job: Job) -> Job:
        """Store the receipt of a finished job, and its expiry and that of its pages."""
        if job.sync is not None:
            self._finisher.end_sync(job)
            return self._jobs.find(job.job_id) or job
        finished = self._finisher.finish(job)
        self._jobs.change(job, finished)
        self._finisher.propagate_to_sync(finished)
        return finished

    def recover_interrupted(self, *, quiet_s: float, limit: int) -> None:
        """Finish removals and finalise jobs that were left at least `quiet_s` seconds ago."""
        removed, not_finalised = self._jobs.take_interrupted(quiet_s=quiet_s, limit=limit)
        for job_id in removed:
            self._finish_removal(job_id)
        for job in not_finalised:
            self._recover(job, self.finalise)

    def recover_syncs(self, *, quiet_s: float, limit: int) -> None:
        """Update syncs from children that ended at least `quiet_s` seconds ago, where their own process did not."""
        for job in self._jobs.take_unfollowed(quiet_s=quiet_s, limit=limit):
            self._recover(job, partial(self._finisher.propagate_to_sync, is_swept=True))

    def _recover(self, job: Job, act: Callable[[Job], object]) -> None:
        """Do the rest for one job. Whatever is wrong with it must not keep the others waiting."""
        try:
            act(job)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - logged below, with the id of the job
            _log.exception("job_not_recovered", **job.log_fields)

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
                return self._after_cancel(ended) or ended.expire(after=self._result_ttl)
            job = self._jobs.get(job.job_id, account_id=job.account_id)
        raise _modified_concurrently()

    def _retry_children(self, job: Job) -> Job:
        """Requeue children of a sync that have stopped: the one that was asked for, or all of them.

        The sync is reopened first, so that it does not expire while a child is at work, and updated from its children
        last. Each step may be repeated by another caller; whoever dies in between leaves a sync that the sweeper
        updates from what was done.
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
                self._jobs.change(child, replace(child, retention=child.retention.of_job(None)))
        self._allow_token_again(stopped)
        queued = [(child, child.retry(at=self._clock())) for child in stopped]
        self._publish(*(after for before, after in queued if self._jobs.change(before, after)))
        self._finisher.propagate_to_sync(sync)
        return self.show(job.job_id, account_id=job.account_id)

    def _require_its_portal(self, job: Job) -> None:
        if self._portals is not None and job.hub_id is not None:
            with suppress(TokenUnreadableError):
                job.require_portal(self._portals.connected(job.account_id, job.owner))

    def _publish(self, *queued: Job) -> None:
        with suppress(BrokerUnavailableError):
            publish_or_note(*queued, queue=self._queue, jobs=self._jobs)

    def _allow_token_again(self, retried: Sequence[Job]) -> None:
        """Let a refused token be tried again: someone expects it to work by now."""
        codes = {job.error.code for job in retried if job.error is not None}
        if self._connections is not None and ReconnectRequiredError.code in codes:
            self._connections.ask_again(retried[0].account_id, retried[0].owner)

    def _after_cancel(self, job: Job) -> Job | None:
        """Return the job once it is finalised; None where that is left to the sweeper."""
        if self._notifier is not None:
            self._notifier.notify(job)
        with suppress(StoreUnavailableError):
            if job.totals.proves_distinct:
                return self.finalise(job)
            # Its ids would have to be counted one by one, which takes too long for the caller who cancels.
            self._finisher.propagate_to_sync(job)
        return None

    def _finish_removal(self, job_id: str) -> None:
        self._pages.remove(job_id)
        self._jobs.finish_removal(job_id)


def _modified_concurrently() -> IllegalChangeError:
    return IllegalChangeError("The job was modified concurrently; try again")
