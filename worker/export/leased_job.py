"""LeasedJob: the job that a slice holds, and what becomes of it when it fails, has to wait, ends, or is handed back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog
from pydantic import SecretStr

from worker.accounts.gone_list import GoneList
from worker.errors import (
    AddressTooLongError,
    ExportError,
    HubSpotError,
    InternalError,
    LeaseLostError,
    ListGoneError,
    MissingScopesError,
    RateLimitedError,
    RetryableHubSpotError,
    StoreUnavailableError,
    TokenRefusedError,
    UnavailableError,
    WorkersLostError,
)
from worker.export.context import ExportContext, SliceLimits
from worker.export.erasure_screen import ErasureScreen, StoredPage
from worker.export.interfaces import FetchedPage
from worker.export.leases import HeldLease
from worker.export.retry import block_s, policy_for, smaller_page
from worker.jobs.copy_progress import FEED_TOO_OLD, CopyProgress
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import is_left_over
from worker.rate_limit.quota import Quota
from worker.records.crm_api import CrmApi

_log = structlog.get_logger()

_OK = 200
_MOST_TRIES = 50  # more than any policy has: each one more is a slice that an absent database has ended


class LeasedJob:
    """A leased job as it stands. `job` is what would be stored of it now; what has been stored stays."""

    def __init__(self, lease: HeldLease, *, tools: ExportContext, limits: SliceLimits) -> None:
        self.lease = lease
        self.job = lease.job
        self.tools = tools
        self.limits = limits
        self._ends_at = tools.monotonic() + limits.seconds
        self._gives_way_at = tools.monotonic() + limits.share_s
        self._has_given_way = False
        self._first_page = self.job.progress.pages
        self._is_isolated = limits.is_last_try(self.job)
        self._wait_s: float | None = None
        self._sighting: GoneList | None = None
        self._screen = ErasureScreen(lease, tools.eraser)
        self._sync: Job | None = None  # as it was when the slice began

    @property
    def is_at_work(self) -> bool:
        """Whether the job is neither finished nor put down."""
        return self.job.status is JobStatus.RUNNING and self.job.resume_at is None

    def begin(self) -> None:
        """Give a job up that cannot be done."""
        job = self.job
        if job.lapses >= self.limits.most_lapses:
            message = f"The job was given up after {job.lapses} workers in a row ended while they had it"
            self.fail(WorkersLostError(message))
        elif job.attempts > _MOST_TRIES:
            self.fail(StoreUnavailableError())
        elif job.parent_id is not None:
            self.tools.siblings.join(job)
            self._sync = self.tools.jobs.note_start(job, at=job.updated_at)
            if is_left_over(self._sync):
                self.cancel()

    def resume(self, *, token: SecretStr | None = None) -> None:
        """Make sure that what the job has is there, and that it may begin; `token` is the one that it begins with."""
        self._resume(token)
        job = self.job
        if job.kind is JobKind.EXPORT and job.progress.pages == 0 and self.is_at_work:
            self.tools.notifier.notify(job)  # who waits for a page wants nothing else
            if self._sync is not None:
                self.tools.notifier.notify(self._sync)
            self._estimate()

    def belong_to(self, hub_id: int | None) -> None:
        """Note that the job reads this portal; None: HubSpot has not told which.

        An export that keeps the current copy then reads the one that is to be taken for the connected one, since it has
        to write to some copy; any other waits for the first id that is told. All exports of a sync read one portal.
        Raises PortalChangedError.
        """
        if self.job.kind is JobKind.PAGE:
            self.job = replace(self.job, hub_id=hub_id)
            return
        self.job.require_portal(hub_id)
        if self.job.hub_id is None:
            self._settle_portal(hub_id)

    def wants_more(self, job: Job) -> bool:
        """Whether the slice fetches more, once the job is this one."""
        return not (job.cancel_requested or job.is_complete or self.is_over(job))

    def is_over(self, job: Job) -> bool:
        """Whether it is the turn of others, once the job is this one."""
        at_once = self.tools.lanes if job.lanes is not None else 1
        has_its_pages = job.progress.pages - self._first_page >= self.limits.pages * at_once
        is_late = has_its_pages or self.tools.monotonic() >= self._ends_at
        if self._is_isolated and job.lapses == 0:
            return True  # it has a page: others need wait no longer
        return is_late or self.tools.stopping.is_set() or self._gives_way()

    def do(self, step: Callable[[], None]) -> None:
        """Do a step of the job, or decide what its failure means for it."""
        try:
            step()
        except (UnavailableError, LeaseLostError):
            raise
        except ExportError as error:
            self.fail(error)
        except Exception:  # the outermost loop of a job: what is a bug today would be one at every try
            _log.exception("job_broke")
            self.fail(InternalError())

    def note_page(self, fetched: FetchedPage) -> None:
        """Count a call that was answered with a page; it takes back that the legacy list is said to be gone."""
        self.note_call(_OK, fetched.quota)
        if self._sighting is not None and not self.job.reads_feed and fetched.api == CrmApi.LEGACY:
            sighting, self._sighting = self._sighting, None
            self.tools.apis.take_back(sighting)

    def note_call(self, status: int | None, quota: Quota | None) -> None:
        """Count a call by its answer, and pass on what that says of the limit."""
        self.job = replace(self.job, tally=self.job.tally.after_call(status))
        if quota is not None:
            self.tools.limiter.learn(self.job.account_id, quota, hub_id=self.job.hub_id)

    def note_further(self, answered: int) -> None:
        """Count calls that were answered with a part of a page."""
        for _ in range(answered):
            self.note_call(_OK, None)
        self.job = replace(self.job, further_calls=self.job.further_calls + answered)

    def count(self, job: Job, pages: Sequence[StoredPage]) -> Job:
        """Store the job, with these pages, which were stored since the last time, counted; return it as it is stored.

        Not to be called by two threads at once. Raises LeaseLostError, StoreUnavailableError.
        """
        return replace(job, cancel_requested=self._screen.checkpoint(job, pages))

    def ask_for_less(self, error: HubSpotError, job: Job) -> None:
        """Ask for fewer records, or properties, with each call, where the error of one that `job` made calls for it."""
        longest = error.longest_query if isinstance(error, AddressTooLongError) else None
        self.job = self.job.ask_for_less(records=smaller_page(error, job), query=longest)

    def note_retry(self, error: HubSpotError) -> None:
        """Count a call that will be made again."""
        self.job = replace(self.job, tally=self.job.tally.after_retry(error.status))

    def delay_after(self, error: RetryableHubSpotError | TokenRefusedError, job: Job) -> float | None:
        """Return the seconds before the call is tried again that `job` was made for; None: it is given up."""
        at = self.tools.clock()
        delay_s = policy_for(error, job.kind).delay_s(error, job, at=at, jitter=self.tools.jitter())
        if isinstance(error, RateLimitedError):
            self.tools.limiter.block(job.account_id, hub_id=job.hub_id, seconds=block_s(error, at))
        if delay_s is not None:
            _log.warning("call_failed", retry_in_s=round(delay_s, 2), **error.log_fields)
        return delay_s

    def park(self, delay_s: float, *, reason: str) -> None:
        """Sit a moment out; for anything longer the job waits in the database and the worker is free."""
        at = self.tools.clock()
        if delay_s <= self.limits.longest_sleep_s:
            self.tools.stopping.wait(delay_s)
            return
        self._wait_s = delay_s
        is_long = delay_s > self.limits.seconds
        stand = self.job.wait if is_long else self.job.pause
        self.job = stand(delay_s, reason=reason, at=at)

    def leave_list(self, error: ListGoneError) -> None:
        """Go on by the dated API at once, if the setting lets it: HubSpot has no such legacy list (any more)."""
        api = self.tools.apis.leave(self.job, error)
        if api is None:
            self.fail(error)
            return
        self.note_retry(error)
        self.job = replace(self.job, api=api).starting(ids_before=0)

    def begin_anew(self, *, because: str | None = None) -> None:
        """Forget all pages and have them removed: some are gone, or, `because` of something, they may be wrong."""
        self.job = self.job.start_over(because=because)
        self.lease.checkpoint(self.job)
        self.tools.pages.cut(self.job)

    def read_all(self, *, because: str) -> None:
        """Begin anew with the list of all records: the feed of what has changed would leave some out."""
        _log.info("feed_left", reason=because)
        self.lease.require()
        self.job = self.tools.copy.read_all(self.job, because=because)
        self.begin_anew()
        self._estimate()

    def cancel(self) -> None:
        """Do what someone asked for."""
        self.job = self.job.cancel(at=self.tools.clock())

    def succeed(self) -> None:
        """End well."""
        self.job = self.job.succeed(at=self.tools.clock())

    def fail(self, error: ExportError) -> None:
        """Give up."""
        _log.warning("job_failed", code=error.code, **error.log_fields)
        self.job = self.job.fail(error, at=self.tools.clock())

    def requeue(self) -> None:
        """Requeue the job for another slice. The caller publishes for whichever of the account's jobs is next."""
        self.tools.jobs.release(self.job)

    def leave(self) -> None:
        """Store that the job is finished or has to wait, the end of its pages first: they may not outlive it."""
        if self.job.status.is_terminal:
            self.job = self._closed()
        self.tools.jobs.release(self.job, resume_in_s=self._wait_s)
        if self._wait_s is not None:
            self.tools.delayed.publish_in(self._wait_s, self.job)
        if self.job.status is not JobStatus.RUNNING:
            self._notify()
        progress = self.job.progress
        _log.info("job_left", status=self.job.status, pages=progress.pages, records=progress.records)

    def _gives_way(self) -> bool:
        """Make room for one who waits, once this job has had its share; there is no way back from that."""
        if not self._has_given_way and self.tools.monotonic() >= self._gives_way_at:
            self._has_given_way = self.tools.backlog.should_yield()
        return self._has_given_way

    def _choose_api(self) -> None:
        """Read by the API that the setting and what is remembered of the account's lists say.

        After a sighting a caller's offset may be one of the dated API, whose offsets include the record that they name.
        Those of a legacy list may not: it is asked for one id more, at the price of a record that comes twice.
        """
        chosen = self.tools.apis.choose(self.job)
        self._sighting = chosen.sighting
        self.job = replace(self.job, api=chosen.api).starting(ids_before=0 if chosen.sighting is None else 1)

    def _estimate(self) -> None:
        """Note how much the job will bring, as far as anyone knows: not of a feed. No job fails for want of that."""
        if self.job.copying is not None and self.job.copying.reads_feed:
            return
        try:
            self.job = replace(self.job, estimate=self.tools.forecaster.forecast(self.job))
        except Exception:
            _log.exception("no_forecast")

    def _settle_portal(self, hub_id: int | None) -> None:
        if self.job.parent_id is None:
            self.job = replace(self.job, hub_id=hub_id)
            return
        sync = self._sync
        of_sync = sync.hub_id if sync is not None else None  # once it is known it stays
        read = hub_id or of_sync or self.tools.portals.present(self.job.account_id, self.job.owner)
        if read is not None and of_sync is None:
            of_sync = self.tools.jobs.settle_portal(self.job.parent_id, read)
            if sync is not None and sync.sync is not None and sync.sync.schedule_id is not None and of_sync is not None:
                self.tools.schedules.note_portal(sync.sync.schedule_id, of_sync)
        self.job = replace(self.job, hub_id=of_sync)
        self.job.require_portal(read)

    def _resume(self, token: SecretStr | None) -> None:
        if self.job.parent_id is not None and self.job.progress.pages == 0 and self._lacks_scopes(token):
            return
        known = self.job.copying
        if known is not None:
            self.job = self.tools.copy.resume(self.job)
        if self._was_begun_anew and self.job.progress.pages == 0:
            self.tools.pages.cut(self.job)  # whoever began it anew may have died before the old pages were gone
        if self.job.retention.pages_expire_at is not None:
            self._resume_retried()
        if known is not None and (because := self._why_all(known)) is not None:
            self.read_all(because=because)
        if not self.job.is_complete:
            self._choose_api()

    @property
    def _was_begun_anew(self) -> bool:
        copying = self.job.copying
        return self.job.unsplit_because is not None or (copying is not None and copying.full_because is not None)

    def _why_all(self, known: CopyProgress) -> str | None:
        """Say why the feed that was `known` to be read is left: maybe by one who died before the job said so."""
        copying = self.job.copying
        if copying is not None and copying.is_feed_too_old(at=self.job.updated_at):
            return FEED_TOO_OLD
        return copying.full_because if copying is not None and known.reads_feed else None

    def _lacks_scopes(self, token: SecretStr | None) -> bool:
        """Fail the part of a sync that its connection may not read, before HubSpot is asked for any of it.

        HubSpot itself may answer with no records instead of an error. What cannot be found out now shows then.
        """
        job, lacking = self.job, None
        with suppress(ExportError):
            missing = self.tools.scopes.missing(job.account_id, job.owner, [job.records_type], token=token)
            lacking = missing.get(job.records_type)
        if lacking is None:
            return False
        message = f"The connection lacks the scope that HubSpot wants for {job.records_type}"
        self.fail(MissingScopesError(message, details=f"One of these scopes is needed: {', '.join(lacking)}"))
        return True

    def _resume_retried(self) -> None:
        """Keep the pages of a job that is retried; where some are gone already, all are fetched anew."""
        job_id = self.job.job_id
        for sibling in self.job.siblings:
            self.tools.pages.expire(sibling, at=None)
        self.tools.pages.keep_only(self.job, self.job.counted_pages)
        if self.tools.pages.count(job_id) < self.job.progress.pages:
            _log.warning("pages_gone")
            self.lease.require()
            self.tools.pages.remove(job_id)
            self.job = self.job.start_over()
        self.job = self.job.with_pages_kept()

    def _closed(self) -> Job:
        """Close the job; what cannot be counted, or has ended workers before, is left uncounted."""
        finisher = self.tools.finisher
        if self.job.kind is JobKind.EXPORT and not self._counts_all_it_stored:
            self.tools.pages.keep_only(self.job, self.job.counted_pages)
        if self.job.lapses < self.limits.most_lapses:
            try:
                return finisher.finish(self.job, stored_pages=self._just_stored)
            except UnavailableError:
                raise
            except Exception:
                _log.exception("receipt_not_drawn_up")
        return finisher.finish(self.job, counts_ids=False)

    @property
    def _just_stored(self) -> int | None:
        """How many pages there are, where it is one and this slice has stored it; None: they are to be counted."""
        is_only_page = self._first_page == 0 and self.job.progress.pages == 1
        return 1 if is_only_page and self._counts_all_it_stored else None

    @property
    def _counts_all_it_stored(self) -> bool:
        """Whether no page can be stored that is not counted.

        Whoever had the job before, or a step that failed, may have stored one, and lanes read ahead.
        """
        job = self.job
        is_first_try = job.epoch == 1 and not self._was_begun_anew
        return is_first_try and job.status is JobStatus.SUCCEEDED and job.lanes is None and not job.blocks

    def _notify(self) -> None:
        tools, job = self.tools, self.job
        tools.notifier.notify(job)
        if tools.siblings.leave(job):
            tools.finisher.propagate_to_sync(job)
