"""How fast schedules that fall due at the same moment are dispatched, by real workers that also run the syncs.

    python -m benchmarks.dispatch [--schedules 10000] [--workers 2] [--beats 2]

Every schedule belongs to its own connected account, so that everything a dispatch looks up exists. The clock stops
when the last schedule has its next run. The baseline is the inserts alone: as many sync documents, from one process,
in batches of the same size, into a collection with the same indexes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import click
from rich.table import Table

from benchmarks.stacks import open_database, running_stack
from benchmarks.tables import figures_table, show
from sandbox.seeding import Account, seed
from sandbox.stack import Stack, StackOptions
from worker.accounts.mongo.tokens import COLLECTION as TOKENS
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION as JOBS
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.request import SyncRequest
from worker.jobs.sync import new_sync
from worker.mongo.database import Document, MongoDatabase
from worker.records.types import CONTACTS
from worker.schedules.mongo.store import COLLECTION as SCHEDULES
from worker.schedules.mongo.store import MongoScheduleStore
from worker.schedules.schedule import Schedule
from worker.schedules.timetable import Timetable

_BATCH = 500
_POLL_S = 0.02
_GIVE_UP_S = 300.0
_HUB_ID = 62515
_FIRST = Account(account_id="account-0", owner="user", hub_id=_HUB_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The durations, and a histogram of syncs per schedule, which should be one each."""

    schedules: int
    bare_s: float
    half_s: float
    all_s: float
    syncs_each: Counter[int]


@click.command()
@click.option("--schedules", default=10_000, show_default=True, type=click.IntRange(min=1))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--beats", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--upkeep-only", is_flag=True, help="Workers dispatch, and run no syncs.")
def main(schedules: int, workers: int, beats: int, *, upkeep_only: bool) -> None:
    """Measure and print."""
    arguments = ("-Q", "upkeep") if upkeep_only else ()
    options = StackOptions(workers=workers, beats=beats, worker_arguments=arguments)
    with running_stack(options) as stack, open_database(stack) as database:
        accounts = [f"account-{number}" for number in range(schedules)]
        _connect_all(stack, database, accounts)
        _schedule_all(database, accounts)
        bare_s = _insert_bare(database, accounts)
        half_s, all_s = _dispatch(database, schedules)
        outcome = Outcome(
            schedules=schedules, bare_s=bare_s, half_s=half_s, all_s=all_s, syncs_each=_syncs_each(database)
        )
    show(_table(outcome, workers=workers, beats=beats))
    if outcome.syncs_each != Counter({1: schedules}):
        raise click.ClickException("not every schedule has exactly one sync")


def _connect_all(stack: Stack, database: MongoDatabase, accounts: Sequence[str]) -> None:
    """Store a token for each, all of the same HubSpot account: what is exported does not matter here."""
    seed(stack, _FIRST, records={"contacts": 1}, rate_limit=0, latency_s=0.2)
    _multiply(database, TOKENS, accounts)


def _schedule_all(database: MongoDatabase, accounts: Sequence[str]) -> None:
    now = datetime.now(UTC)
    lately = now - timedelta(minutes=10)  # `_dispatch` moves tomorrow's run to this time
    schedule = Schedule(
        schedule_id=uuid4().hex,
        account_id=_FIRST.account_id,
        owner=_FIRST.owner,
        timetable=Timetable(cron=f"{lately.minute} {lately.hour} * * *", timezone="UTC"),
        types=(CONTACTS,),
        created_at=now,
        updated_at=now,
    )
    store = MongoScheduleStore(database)
    store.put(schedule.planned(at=now))
    _multiply(database, SCHEDULES, accounts)


def _multiply(database: MongoDatabase, collection: str, accounts: Sequence[str]) -> None:
    """Copy the first account's document for all the others."""
    (first,) = database[collection].find({"account_id": _FIRST.account_id})
    documents: list[Document] = [first | {"_id": uuid4().hex, "account_id": each} for each in accounts[1:]]
    if documents:
        database[collection].insert_many(documents, ordered=False)


def _insert_bare(database: MongoDatabase, accounts: Sequence[str]) -> float:
    elsewhere = database.client.get_database(f"{database.name}_bare")
    store = MongoJobStore(elsewhere)
    store.ensure_indexes()
    syncs = [_sync(account_id) for account_id in accounts]
    began_at = time.monotonic()
    for first in range(0, len(syncs), _BATCH):
        store.add_all(syncs[first : first + _BATCH])
    return time.monotonic() - began_at


def _sync(account_id: str) -> Job:
    request = SyncRequest(types=(CONTACTS,), schedule_id=uuid4().hex, scheduled_for=datetime.now(UTC))
    return new_sync(uuid4().hex, account_id=account_id, owner="user", request=request, at=datetime.now(UTC))


def _dispatch(database: MongoDatabase, schedules: int) -> tuple[float, float]:
    """Make all schedules due; return the seconds until half of them, and all of them, have been dispatched."""
    due_at = datetime.now(UTC) - timedelta(seconds=1)
    began_at = time.monotonic()
    database[SCHEDULES].update_many({}, [{"$set": {"due_at": due_at, "next_run_at": _a_day_before("$next_run_at")}}])
    half_s: float | None = None
    while (remaining := database[SCHEDULES].count_documents({"due_at": {"$lte": due_at}})) > 0:
        passed_s = time.monotonic() - began_at
        if remaining <= schedules / 2:
            half_s = half_s or passed_s
        if passed_s > _GIVE_UP_S:
            raise click.ClickException(f"{remaining} schedules have not been dispatched in {_GIVE_UP_S:g} s")
        time.sleep(_POLL_S)
    all_s = time.monotonic() - began_at
    return half_s or all_s, all_s


def _a_day_before(field: str) -> Document:
    return {"$subtract": [field, 86_400_000]}


def _syncs_each(database: MongoDatabase) -> Counter[int]:
    """Return how many schedules have how many syncs, zero included."""
    counted = {"$group": {"_id": "$sync.schedule_id", "syncs": {"$sum": 1}}}
    found = {each["_id"]: each["syncs"] for each in database[JOBS].aggregate([{"$match": {"kind": "sync"}}, counted])}
    return Counter(found.get(document["_id"], 0) for document in database[SCHEDULES].find({}, {"_id": True}))


def _table(outcome: Outcome, *, workers: int, beats: int) -> Table:
    title = f"{outcome.schedules:,} schedules due at once, {workers} workers, {beats} beats"
    table = figures_table(title, "", "s", "a second")
    for name, seconds, number in (
        ("half of them dispatched", outcome.half_s, outcome.schedules / 2),
        ("all of them dispatched", outcome.all_s, outcome.schedules),
        ("the inserts alone", outcome.bare_s, outcome.schedules),
    ):
        table.add_row(name, f"{seconds:.1f}", f"{number / seconds:,.0f}")
    table.add_row("ratio", f"{outcome.all_s / outcome.bare_s:.1f}", "")
    table.add_row("schedules with exactly one sync", f"{outcome.syncs_each[1]:,}", "")
    return table


if __name__ == "__main__":
    main()
