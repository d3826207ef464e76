"""Reports which legacy lists are remembered as gone: no fault, but operators want to know."""

from __future__ import annotations

from collections.abc import Sequence

from api_shim.commands.checks.findings import Finding, ok
from worker.accounts.gone_list import GoneList
from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.mongo.database import MongoDatabase

SUBJECT = "hubspot lists"

_MOST_NAMED = 5


def check_gone_lists(database: MongoDatabase) -> Finding:
    return report_on(MongoGoneListStore(database).remembered_first(most=_MOST_NAMED + 1))


def report_on(gone: Sequence[GoneList]) -> Finding:
    """Name accounts and types that start with the dated API, and how to reset that."""
    if not gone:
        return ok(SUBJECT, "no legacy list is remembered as gone")
    named = [f"{each.export_type} of account {each.account_id} since {each.since:%Y-%m-%d}" for each in gone]
    more = ", and more" if len(gone) > _MOST_NAMED else ""
    return ok(
        SUBJECT,
        f"remembered as gone: {', '.join(named[:_MOST_NAMED])}{more}; "
        "exports of these begin with the dated API under HUBSPOT_API=auto; "
        "`hubspot-export connection --recheck` takes it back",
    )
