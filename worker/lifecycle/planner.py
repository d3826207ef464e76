"""Planner: estimates of exports, before they are started and as they begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from worker.accounts.connection import TokenInfo
from worker.accounts.interfaces import TokenInfoSource
from worker.definitions.names import ALL
from worker.errors import ExportError
from worker.jobs.copy_progress import SyncMode
from worker.jobs.estimate import Basis, Count, Estimate, Extent
from worker.jobs.interfaces import JobHistory
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest
from worker.lifecycle.interfaces import ReadingSource
from worker.lifecycle.record_counts import RecordCounts
from worker.rate_limit.quota import Rate
from worker.records.scopes import missing_scopes
from worker.records.types import CopyId, ExportType
from worker.rpc.requests import ExportPlan, Plan, PlanExports, PlannedExport

_log = structlog.get_logger()

_MOST_SYNCS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerTools:
    """What a planner works with.

    `names` returns the names of a type's properties that `*` stands for, `changes_since` from when on an incremental
    sync of a copy would read what has changed (None: all of it).
    """

    facts: TokenInfoSource
    counts: RecordCounts
    readings: ReadingSource
    names: Callable[[str, str, ExportType], Sequence[str]]
    changes_since: Callable[[CopyId], datetime | None]
    jobs: JobHistory
    rate: Rate | None


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
        since = job.copying.feed_since if job.copying is not None else None
        names = job.selection.properties if job.selection is not None else job.request.properties
        try:
            last = self._last_before(job)
            count = self._count(job.copy_id, job.owner, job.request, last, since=since, asks_first=False)
        except ExportError as error:
            _log.info("no_forecast", reason=error.message)
            return None
        return self._estimate(job.records_type, job.request, count, last, names=names, changes_only=since is not None)

    def _last_before(self, job: Job) -> Job | None:
        """Return the last complete export of the type; for all children of a sync that begin here with one query."""
        asked, sync_id = (job.account_id, job.owner), job.parent_id
        if sync_id is None:
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
        copy = CopyId(account_id=account_id, export_type=export_type, hub_id=facts.hub_id)
        last = self._tools.jobs.last_complete(account_id, owner, export_type, hub_id=facts.hub_id)
        since = self._tools.changes_since(copy) if planned.mode is SyncMode.INCREMENTAL else None
        count = (
            _count_of(last)
            if missing
            else self._count(copy, owner, planned.request, last, since=since, asks_first=True)
        )
        names = self._names(account_id, owner, planned)
        return ExportPlan(
            export_type=export_type,
            request=planned.request,
            estimate=self._estimate(
                export_type, planned.request, count, last, names=names, changes_only=since is not None
            ),
            missing_scopes=missing,
        )

    def _names(self, account_id: str, owner: str, planned: PlannedExport) -> Sequence[str] | None:
        """Return the names of the properties that are asked for; None where HubSpot does not tell them now."""
        asked = planned.request.properties
        if asked is None or ALL not in asked:
            return asked
        try:
            return self._tools.names(account_id, owner, planned.export_type)
        except ExportError as error:
            _log.info("no_names", reason=error.message)
            return None

    def _count(  # noqa: PLR0913 - what there is to know of an export
        self,
        copy: CopyId,
        owner: str,
        request: ExportRequest,
        last: Job | None,
        *,
        since: datetime | None,
        asks_first: bool,
    ) -> Count | None:
        """Count what an export would read; nobody counts what was deleted, and the legacy feeds not before they end."""
        if request.archived:
            return None
        if not self._tools.readings.is_dated(copy.export_type, request):
            return _count_of(last)
        if since is not None:
            return self._tools.counts.ask(copy, owner, since=since)
        if asks_first:
            return self._tools.counts.ask(copy, owner) or _count_of(last)
        return _count_of(last) or self._tools.counts.ask(copy, owner)

    def _estimate(  # noqa: PLR0913 - as above
        self,
        export_type: ExportType,
        request: ExportRequest,
        count: Count | None,
        last: Job | None,
        *,
        names: Sequence[str] | None,
        changes_only: bool,
    ) -> Estimate | None:
        reading = self._tools.readings.of(export_type, request, names=names, changes_only=changes_only)
        extent = Extent(limit=request.limit, reading=reading, is_from_start=request.is_from_start)
        return Estimate.of(extent, count=count, call_s=_pace_of(last), rate=self._tools.rate)


def _count_of(last: Job | None) -> Count | None:
    if last is None or last.finished_at is None:
        return None
    return Count(records=last.progress.records, basis=Basis.LAST_EXPORT, as_of=last.finished_at)


def _pace_of(last: Job | None) -> float | None:
    """Return the mean seconds a call; an interrupted export tells nothing."""
    if last is None or last.started_at is None or last.finished_at is None or last.resumes > 0:
        return None
    calls = sum(last.totals.calls_by_kind.values()) or last.progress.pages
    return (last.finished_at - last.started_at).total_seconds() / max(1, calls)
