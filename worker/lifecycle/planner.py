"""Planner: estimates of exports, before they are started and as they begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from pydantic import SecretStr

from worker.accounts.connection import TokenInfo
from worker.accounts.interfaces import TokenInfoSource, TokenSource
from worker.accounts.scopes import missing_scopes
from worker.errors import ExportError, NoPermitError, RateLimitedError, TokenRefusedError
from worker.jobs.estimate import Basis, Count, Estimate, Extent
from worker.jobs.interfaces import JobHistory
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest
from worker.lifecycle.interfaces import RecordCounter
from worker.lifecycle.search_permits import SearchPermits
from worker.rate_limit.permits import free_permit
from worker.rate_limit.quota import Rate
from worker.records.types import DOCUMENTED_TYPES, ExportType
from worker.rpc.requests import ExportPlan, Plan, PlanExports, PlannedExport

_log = structlog.get_logger()

_MOST_SYNCS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerTools:
    """What a planner works with.

    `counter` is None where the API in use has no count; `most_a_call` is the most records that it returns for a call.
    Without `searches` a count takes no permit.
    """

    facts: TokenInfoSource
    tokens: TokenSource
    counter: RecordCounter | None
    jobs: JobHistory
    rate: Rate | None
    most_a_call: int
    clock: Callable[[], datetime]
    searches: SearchPermits | None = None


class Planner:
    """Estimates by HubSpot's own total, where the API in use has one, otherwise by the last complete export."""

    def __init__(self, tools: PlannerTools) -> None:
        self._tools = tools
        self._before_sync: dict[str, Mapping[ExportType, Job]] = {}

    def plan(self, account_id: str, owner: str, question: PlanExports) -> Plan:
        """Plan exports that would run concurrently. Raises TokenNotFoundError, a HubSpotError, UnavailableError."""
        facts = self._tools.facts.look(account_id, owner)
        plans = tuple(self._plan_one(account_id, owner, each, facts) for each in question.exports)
        return Plan(exports=plans, rate=self._tools.rate, facts=facts)

    def forecast(self, job: Job) -> Estimate | None:
        """Estimate a job that begins; None where nothing is known. It raises no ExportError: no job needs it."""
        try:
            last = self._last_before(job)
            count = _count_of(last) or self._ask(job.account_id, job.owner, job.records_type, hub_id=job.hub_id)
        except ExportError as error:
            _log.info("no_forecast", reason=error.message)
            return None
        return self._estimate(job.request, count, last)

    def _last_before(self, job: Job) -> Job | None:
        """Return the last complete export of the type; of the documented types of a sync with one query."""
        asked, sync_id = (job.account_id, job.owner), job.parent_id
        if sync_id is None or job.records_type not in DOCUMENTED_TYPES:
            return self._tools.jobs.last_complete(*asked, job.records_type, hub_id=job.hub_id)
        last = self._before_sync.get(sync_id)
        if last is None:
            last = self._tools.jobs.last_complete_of_each(*asked, job.sync_types, hub_id=job.hub_id)
            if len(self._before_sync) >= _MOST_SYNCS:
                self._before_sync.clear()  # it only saves queries
            self._before_sync[sync_id] = last
        return last.get(job.records_type)

    def _plan_one(self, account_id: str, owner: str, planned: PlannedExport, facts: TokenInfo) -> ExportPlan:
        export_type, granted = planned.export_type, facts.scopes
        missing = missing_scopes([export_type], granted).get(export_type, ()) if granted is not None else None
        last = self._tools.jobs.last_complete(account_id, owner, export_type, hub_id=facts.hub_id)
        asked = None if missing else self._ask(account_id, owner, export_type, hub_id=facts.hub_id)
        return ExportPlan(
            export_type=export_type,
            request=planned.request,
            estimate=self._estimate(planned.request, asked or _count_of(last), last),
            missing_scopes=missing,
        )

    def _ask(self, account_id: str, owner: str, export_type: ExportType, *, hub_id: int | None) -> Count | None:
        """Return HubSpot's count; None where the API in use has none, or not now."""
        counter = self._tools.counter
        if counter is None:
            return None
        searches = self._tools.searches
        permit = free_permit if searches is None else partial(searches.take, account_id, hub_id)
        try:
            records = self._count(partial(counter.count, export_type, permit=permit), account_id, owner)
        except (RateLimitedError, NoPermitError):  # the search has a limit of its own; a plan can do without it
            return None
        return Count(records=records, basis=Basis.HUBSPOT, as_of=self._tools.clock())

    def _count(self, count: Callable[[SecretStr], int], account_id: str, owner: str) -> int:
        access_token = self._tools.tokens.get(account_id, owner)
        try:
            return count(access_token)
        except TokenRefusedError:
            return count(self._tools.tokens.get(account_id, owner, rejected=access_token))

    def _estimate(self, request: ExportRequest, count: Count | None, last: Job | None) -> Estimate | None:
        extent = Extent(
            limit=request.limit,
            page_size=min(request.page_size, self._tools.most_a_call),
            is_from_start=request.is_from_start,
        )
        return Estimate.of(extent, count=count, call_s=_pace_of(last), rate=self._tools.rate)


def _count_of(last: Job | None) -> Count | None:
    if last is None or last.finished_at is None:
        return None
    return Count(records=last.progress.records, basis=Basis.LAST_EXPORT, as_of=last.finished_at)


def _pace_of(last: Job | None) -> float | None:
    """Return the mean seconds a call; an interrupted export tells nothing."""
    if last is None or last.started_at is None or last.finished_at is None or last.resumes > 0:
        return None
    return (last.finished_at - last.started_at).total_seconds() / max(1, last.progress.pages)
