"""What a slice does with a page of HubSpot's archived records, once all pages of changes are stored."""

from __future__ import annotations

from dataclasses import replace

import structlog

from worker.errors import ExportError, FatalHubSpotError
from worker.export.leased_job import LeasedJob
from worker.export.page_fetcher import Attempt
from worker.records.deletion import DeletionPage

_log = structlog.get_logger()


def deletions_told(attempt: Attempt | None, error: ExportError | None) -> DeletionPage | None:
    """Return the page that a call has brought; None: none, for now.

    Where HubSpot refuses the list it tells of no deletions, which is no reason to lose what has changed.
    """
    if isinstance(error, FatalHubSpotError):
        _log.warning("deletions_unknown", **error.log_fields)
        return DeletionPage(unknown=error.message)
    return attempt.fetched.deletions if attempt is not None and attempt.fetched is not None else None


def note_deletions(leased: LeasedJob, page: DeletionPage, *, asked_at: float) -> None:
    """Mark what is archived as deleted, and count the call; the last page is stored with what follows."""
    leased.lease.require()
    told = leased.tools.copy.apply_deletions(leased.job, page, asked_at=asked_at)
    leased.apply(replace(told, totals=told.totals.after_archived(page.calls), patience=told.patience.after_call()))
    if leased.job.reads_archive:
        leased.apply(leased.lease.count(leased.job, [], eraser=leased.tools.eraser))
