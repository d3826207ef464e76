"""How a slice begins: what the job lacks is found out, and what an interrupted slice has left is put in order."""

from __future__ import annotations

from contextlib import suppress

import structlog
from pydantic import SecretStr

from worker.errors import ExportError, MissingScopesError, StoreUnavailableError, WorkersLostError
from worker.export.leased_job import LeasedJob
from worker.export.selecting import PropertySelector
from worker.jobs.copy_progress import CopyProgress
from worker.jobs.status import JobKind
from worker.jobs.sync import is_left_over
from worker.records.crm_api import CrmApi

_log = structlog.get_logger()

_MOST_TRIES = 50  # more than any policy has: each one more is a slice that an absent database has ended


class Resumption:
    """Begins a slice: `begin` before the portal is known, `resume` when it is."""

    def __init__(self, leased: LeasedJob) -> None:
        self._leased = leased
        self._tools = leased.tools
        self._selector = PropertySelector(leased.tools.definitions, leased.tools.scopes)
        self._has_selected = False

    @property
    def has_to_select(self) -> bool:
        """Whether it has to be decided before the next page which properties the job asks for."""
        job = self._leased.job
        return not self._has_selected and self._leased.wants_more(job) and self._selector.is_needed(job)

    def begin(self) -> None:
        """Fail a job that cannot be done, and join the sync that it belongs to."""
        leased, job = self._leased, self._leased.job
        if job.abandoned_leases >= leased.limits.most_abandoned_leases:
            message = f"The job was given up after {job.abandoned_leases} workers in a row ended while they had it"
            leased.fail(WorkersLostError(message))
        elif job.attempts > _MOST_TRIES:
            leased.fail(StoreUnavailableError())
        elif job.parent_id is not None:
            self._tools.siblings.join(job)
            leased.sync = self._tools.jobs.note_start(job, at=job.updated_at)
            if is_left_over(leased.sync):
                leased.apply(leased.job.cancel(at=self._tools.clock()))

    def resume(self, *, token: SecretStr | None = None) -> None:
        """Make sure that what the job has is there, and that it may begin; `token` is the one that it begins with."""
        leased = self._leased
        self._resume(token)
        if self._is_beginning:
            self._tools.notifier.notify(leased.job)  # not of a page: who waits for one wants nothing else
            if leased.sync is not None:
                self._tools.notifier.notify(leased.sync)

    def estimate(self) -> None:
        """Note what an export that begins will come to: the properties that it asks for are known by now."""
        if self._is_beginning:
            self._leased.estimate()

    @property
    def _is_beginning(self) -> bool:
        job = self._leased.job
        return job.kind is JobKind.EXPORT and job.progress.pages == 0 and self._leased.is_at_work

    def select(self) -> None:
        """Decide which properties the job asks for, unless that was done, and store it: a resume asks for the same.

        Raises what PropertySelector.select raises.
        """
        leased, selector = self._leased, self._selector
        sync = leased.sync.sync if leased.sync is not None else None
        selected = selector.select(leased.job, is_scheduled=sync is not None and sync.schedule_id is not None)
        leased.apply(leased.job.with_selection(selected.selection, calls=selected.calls))
        if selected.selection is not None:
            leased.lease.record_selection(leased.job)
        self._has_selected = True

    def _resume(self, token: SecretStr | None) -> None:
        leased = self._leased
        if leased.job.parent_id is not None and leased.job.progress.pages == 0 and self._lacks_scopes(token):
            return
        known = leased.job.copying
        is_chosen = known is not None and not leased.job.is_complete
        if is_chosen:
            leased.choose_api()  # it decides how far back changes can be read
        if known is not None:
            leased.apply(self._tools.copy.resume(leased.job))
        if leased.was_begun_anew and leased.job.progress.pages == 0:
            self._tools.pages.cut(leased.job)  # whoever began it anew may have died before the old pages were gone
        if leased.job.retention.pages_expire_at is not None:
            self._resume_retried()
        if known is not None and (because := self._why_all(known)) is not None:
            leased.leave_feed(because=because)
        if not (is_chosen or leased.job.is_complete):
            leased.choose_api()

    def _why_all(self, known: CopyProgress) -> str | None:
        """Return why the feed that was `known` to be read is left: maybe by one who died before the job said so."""
        copying = self._leased.job.copying
        if copying is None:
            return None
        job = self._leased.job
        because = copying.unusable_because(api=job.api or CrmApi.LEGACY, at=job.updated_at)
        return because or (copying.full_because if known.reads_feed else None)

    def _lacks_scopes(self, token: SecretStr | None) -> bool:
        """Fail the part of a sync that its connection may not read, before HubSpot is asked for any of it.

        HubSpot itself may answer with no records instead of an error. What cannot be found out now shows then.
        """
        job, lacking = self._leased.job, None
        with suppress(ExportError):
            missing = self._tools.scopes.missing(job.account_id, job.owner, [job.records_type], token=token)
            lacking = missing.get(job.records_type)
        if lacking is None:
            return False
        message = f"The connection lacks the scope that HubSpot wants for {job.records_type}"
        self._leased.fail(MissingScopesError(message, details=f"One of these scopes is needed: {', '.join(lacking)}"))
        return True

    def _resume_retried(self) -> None:
        """Keep the pages of a job that is retried; where some are gone already, all are fetched anew."""
        leased, pages = self._leased, self._tools.pages
        for sibling in leased.job.siblings:
            pages.expire(sibling, at=None)
        pages.keep_only(leased.job, leased.job.counted_pages)
        if pages.count(leased.job.job_id) < leased.job.progress.pages:
            _log.warning("pages_gone")
            leased.lease.require()
            pages.remove(leased.job.job_id)
            leased.apply(leased.job.start_over())
        leased.apply(leased.job.with_pages_kept())
