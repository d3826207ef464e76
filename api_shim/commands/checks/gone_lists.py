"""Which legacy lists are remembered as gone: nothing is wrong then, but whoever looks after accounts wants to know."""

from __future__ import annotations

from collections.abc import Sequence

from api_shim.commands.findings import Finding, ok
from worker.accounts.gone_list import GoneList
from worker.accounts.mongo.gone_lists import MongoGoneListStore
from worker.mongo.database import MongoDatabase

SUBJECT = "hubspot lists"

_MOST_NAMED = 5


def check_gone_lists(database: MongoDatabase) -> Finding:
    """Name some of them."""
    return report_on(MongoGoneListStore(database).remembered_first(most=_MOST_NAMED + 1))


def report_on(gone: Sequence[GoneList]) -> Finding:
    """Say which accounts begin with the dated API for which types, and how that is taken back."""
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
