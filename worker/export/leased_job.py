"""LeasedJob: the job that a slice holds, its one writer, and how long the slice may continue with it."""

from __future__ import annotations

from dataclasses import replace

import structlog

from worker.accounts.gone_list import GoneList
from worker.errors import AddressTooLongError, ExportError, HubSpotError, ListGoneError
from worker.export.call_policy import CallPolicy, Decision, Retry, SwitchApi
from worker.export.context import ExportContext, SliceLimits
from worker.export.leases import HeldLease
from worker.export.page_fetcher import Attempt
from worker.export.retry import smaller_page
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus
from worker.records.crm_api import CrmApi

_log = structlog.get_logger()

_OK = 200


class LeasedJob:
    """A leased job as it stands. `job` is what would be stored of it now; what has been stored stays.

    `job` is read by many, and changed by `apply` alone.
    """

    def __init__(self, lease: HeldLease, *, tools: ExportContext, limits: SliceLimits) -> None:
        self.lease = lease
        self.job = lease.job
        self.tools = tools
        self.limits = limits
        self.sync: Job | None = None  # the one that the job belongs to, as it was when the slice began
        self.first_page = self.job.progress.pages
        self.wait_s: float | None = None
        self._policy = CallPolicy(
            apis=tools.apis,
            limiter=tools.limiter,
            search_limiter=tools.search_limiter,
            clock=tools.clock,
            jitter=tools.jitter,
        )
        self._ends_at = tools.monotonic() + limits.seconds
        self._yields_at = tools.monotonic() + limits.share_s
        self._has_yielded = False
        self._is_isolated = limits.is_last_try(self.job)
        self._sighting: GoneList | None = None

    def apply(self, changed: Job) -> None:
        """Continue with the job as `changed`."""
        self.job = changed

    @property
    def is_at_work(self) -> bool:
        """Whether the job is neither finished nor parked."""
        return self.job.status is JobStatus.RUNNING and self.job.resume_at is None

    @property
    def was_begun_anew(self) -> bool:
        """Whether its pages were forgotten once, so that some of them may still be stored."""
        copying = self.job.copying
        return self.job.unsplit_because is not None or (copying is not None and copying.full_because is not None)

    def wants_more(self, job: Job) -> bool:
        """Whether the slice fetches more, once the job is this one."""
        is_at_work = job.status is JobStatus.RUNNING and job.resume_at is None
        return is_at_work and not (job.cancel_requested or job.is_complete or self.is_over(job))

    def is_over(self, job: Job) -> bool:
        """Whether it is the turn of others, once the job is this one."""
        at_once = self.tools.lanes if job.lanes is not None else 1
        has_its_pages = job.progress.pages - self.first_page >= self.limits.pages * at_once
        is_late = has_its_pages or self.tools.monotonic() >= self._ends_at
        if self._is_isolated and job.abandoned_leases == 0:
            return True  # it has stored a page: whatever ended its workers, others need wait no longer
        return is_late or self.tools.stopping.is_set() or self._yields()

    def belong_to(self, hub_id: int | None) -> None:
        """Note that the job reads this portal; None: HubSpot has not told which.

        An export that keeps the current copy then reads the portal that counts as the connected one, since it has
        to write to some copy; any other waits for the first id that is told. All exports of a sync read one portal.
        Raises PortalChangedError.
        """
        if self.job.kind is JobKind.PAGE:
            self.apply(replace(self.job, hub_id=hub_id))
            return
        self.job.require_portal(hub_id)
        if self.job.hub_id is None:
            self._record_portal(hub_id)

    def note_calls(self, attempt: Attempt, *, asked: Job) -> None:
        """Count the calls of an attempt, which was made for `asked`, and use what HubSpot's answers tell.

        Its word on the limit is passed on; where it was asked for too much, the next call asks for less. A page of the
        legacy list takes back that the list was said to be gone. Raises PortalChangedError.
        """
        if self.job.hub_id is None or attempt.hub_id != self.job.hub_id:
            self.belong_to(attempt.hub_id)
        self.apply(_with_calls(self.job, attempt, asked))
        job, fetched, answer = self.job, attempt.fetched, attempt.fetched or attempt.error
        if answer is not None and answer.quota is not None:
            self.tools.limiter.learn(job.account_id, answer.quota, hub_id=job.hub_id)
        if self._sighting is not None and fetched is not None and fetched.api == CrmApi.LEGACY and not job.reads_feed:
            sighting, self._sighting = self._sighting, None
            self.tools.apis.retract(sighting)

    def decide(self, error: ExportError, *, asked: Job) -> Decision:
        """Return what follows from the error of a call made for `asked`, and count a call that will be made again."""
        decision: Decision
        if isinstance(error, ListGoneError) and asked.api is not self.job.api is not None:
            decision = SwitchApi(error=error, api=self.job.api)  # another lane's answer has made the job leave the list
        else:
            decision = self._policy.decide(error, asked)
        if isinstance(decision, Retry | SwitchApi):
            self.apply(replace(self.job, totals=self.job.totals.after_retry(decision.error.status)))
        return decision

    def switch_api(self, api: CrmApi) -> None:
        """Continue with another API; an export that has not begun may go by a caller's offset, which is that API's."""
        self.apply(replace(self.job, api=api).starting(ids_before=0))

    def choose_api(self) -> None:
        """Read by the API that the setting and what is remembered of the account's lists say.

        After a sighting a caller's offset may be one of the dated API, whose offsets include the record that they name.
        Those of a legacy list may not: it is asked for one id more, at the price of a record that comes twice.
        """
        chosen = self.tools.apis.choose(self.job)
        self._sighting = chosen.sighting
        self.apply(replace(self.job, api=chosen.api).starting(ids_before=0 if chosen.sighting is None else 1))

    def park(self, delay_s: float, *, reason: str) -> None:
        """Sleep for a moment; for anything longer the job waits in the database and the worker is free."""
        at = self.tools.clock()
        if delay_s <= self.limits.longest_sleep_s:
            self.tools.stopping.wait(delay_s)
            return
        self.wait_s = delay_s
        parked = self.job.wait if delay_s > self.limits.seconds else self.job.pause
        self.apply(parked(delay_s, reason=reason, at=at))

    def begin_anew(self, *, because: str | None = None) -> None:
        """Forget all pages and remove them: some are gone, or, `because` of something, they may be wrong."""
        self.apply(self.job.start_over(because=because))
        self.lease.checkpoint(self.job)
        self.tools.pages.cut(self.job)

    def leave_feed(self, *, because: str) -> None:
        """Begin anew with the list of all records: the feed of what has changed would leave some out."""
        _log.info("feed_left", reason=because)
        self.lease.require()
        self.apply(self.tools.copy.read_all(self.job, because=because))
        self.begin_anew()
        self.estimate()

    def estimate(self) -> None:
        """Note how much the job will bring, where that is known: not of a feed. No job fails for want of it."""
        if self.job.copying is not None and self.job.copying.reads_feed:
            return
        try:
            self.apply(replace(self.job, estimate=self.tools.forecaster.forecast(self.job)))
        except Exception:
            _log.exception("no_forecast")

    def fail(self, error: ExportError) -> None:
        _log.warning("job_failed", code=error.code, **error.log_fields)
        self.apply(self.job.fail(error, at=self.tools.clock()))

    def _yields(self) -> bool:
        """Make room for one who waits, once this job has had its share; there is no way back from that."""
        if not self._has_yielded and self.tools.monotonic() >= self._yields_at:
            self._has_yielded = self.tools.backlog.should_yield()
        return self._has_yielded

    def _record_portal(self, hub_id: int | None) -> None:
        if self.job.parent_id is None:
            self.apply(replace(self.job, hub_id=hub_id))
            return
        sync = self.sync
        of_sync = sync.hub_id if sync is not None else None  # once it is known it stays
        read = hub_id or of_sync or self.tools.portals.present(self.job.account_id, self.job.owner)
        if read is not None and of_sync is None:
            of_sync = self.tools.jobs.record_portal(self.job.parent_id, read)
            if sync is not None and sync.sync is not None and sync.sync.schedule_id is not None and of_sync is not None:
                self.tools.schedules.note_portal(sync.sync.schedule_id, of_sync)
        self.apply(replace(self.job, hub_id=of_sync))
        self.job.require_portal(read)


def _with_calls(job: Job, attempt: Attempt, asked: Job) -> Job:
    totals, error, fetched = job.totals, attempt.error, attempt.fetched
    statuses: list[int | None] = [_OK] * attempt.answered
    if error is not None:
        statuses.append(error.status)
    elif fetched is not None:
        read = attempt.answered + (not fetched.took_no_call) - len(fetched.refused)
        statuses = [*[_OK] * read, *fetched.refused]
    for status in statuses:
        totals = totals.after_call(status)
    further = attempt.answered if fetched is None else statuses.count(_OK) - 1  # a page is counted as one call
    counted = replace(job, totals=totals, further_calls=job.further_calls + further)
    return counted if error is None else _asking_for_less(counted, error, asked)


def _asking_for_less(job: Job, error: HubSpotError, asked: Job) -> Job:
    """Ask for fewer records or properties a call, where the error of the call made for `asked` was of too many."""
    longest = error.longest_query if isinstance(error, AddressTooLongError) else None
    return job.ask_for_less(records=smaller_page(error, asked), query=longest)
