"""Builds what estimates exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from worker.bootstrap.accounts import Accounts
from worker.bootstrap.copies import Copies
from worker.bootstrap.export import Limiters
from worker.bootstrap.infrastructure import Infrastructure
from worker.definitions.definitions import Definitions
from worker.definitions.lists import ListKind
from worker.definitions.questions import ListDefinitions
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.readings import Readings
from worker.hubspot.record_count import SearchTotals
from worker.jobs.copy_progress import OVERLAP, SyncMode
from worker.lifecycle.planner import Planner, PlannerTools
from worker.lifecycle.record_counts import RecordCounts
from worker.rate_limit.single_permits import SinglePermits
from worker.records.types import CopyId, ExportType

# Of somebody who can do without the answer, and longer than a window of the limit: a plan of all types takes several.
_SEARCH_WITHIN_S = 1.5


def build_planner(
    infra: Infrastructure, accounts: Accounts, copies: Copies, *, definitions: Definitions, limiters: Limiters
) -> Planner:
    settings = infra.settings
    counter = SearchTotals(
        transport=infra.transport,
        objects_url=settings.hubspot_objects_endpoint,
        notes_kinds=settings.hubspot_notes_kinds,
    )

    def names(account_id: str, owner: str, export_type: ExportType) -> Sequence[str]:
        asked = ListDefinitions(kind=ListKind.PROPERTIES, export_type=export_type)
        return [each.name for each in definitions.show(account_id, owner, asked).listed.properties]

    def changes_since(copy: CopyId) -> datetime | None:
        last = copies.records.last_sync(copy, *SyncMode)
        return last.since - OVERLAP if last is not None else None

    return Planner(
        PlannerTools(
            facts=accounts.introspector,
            counts=RecordCounts(
                tokens=accounts.source,
                counter=counter,
                searches=SinglePermits(limiter=limiters.searches, within_s=_SEARCH_WITHIN_S, stopping=infra.stopping),
                clock=infra.clock,
            ),
            readings=Readings(
                setting=settings.hubspot_api,
                legacy=legacy_endpoints(settings),
                notes_kinds=settings.hubspot_notes_kinds,
            ),
            names=names,
            changes_since=changes_since,
            jobs=infra.jobs,
            rate=settings.hubspot_rate_limit,
        )
    )
