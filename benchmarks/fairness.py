"""Whether the time of a sync is in proportion to the account's size when many accounts sync at once.

    python -m benchmarks.fairness [--accounts 200] [--workers 2] [--largest 60]

The accounts' sizes, in pages, are evenly spread on a logarithmic scale: as many between 1 and 2 as between 10 and 20.
All syncs are submitted in a random order before the first worker starts, so that they begin at the same moment. The
fake HubSpot takes 100 ms to answer. Afterwards the smallest tenth syncs again, without the others.

rank correlation   of size and time (Spearman): 1 if no larger account ends before a smaller one, 0 by chance
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

import click
import requests
from rich.table import Table

from benchmarks.stacks import open_database, running_stack
from benchmarks.tables import figures_table, show
from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from worker.jobs.mongo.documents import COLLECTION
from worker.mongo.database import MongoDatabase

_SYNC = "/v1/integrations/hubspot/sync"
_PAGE = 100
_LATENCY_S = 0.1
_TENTHS = 10
_POLL_S = 0.25
_GIVE_UP_S = 500.0
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Accounts that sync at once, with their sizes in pages, smallest first."""

    pages: Mapping[Account, int]

    @classmethod
    def of(cls, accounts: int, *, largest: int) -> Burst:
        """Spread the sizes from 1 to `largest` evenly on a logarithmic scale."""
        last = max(1, accounts - 1)
        sizes = [round(largest ** (number / last)) for number in range(accounts)]
        made = (
            Account(account_id=f"account-{number}", owner="user", hub_id=1000 + number) for number in range(accounts)
        )
        return cls(pages=dict(zip(made, sizes, strict=True)))

    @property
    def small(self) -> list[Account]:
        """The smallest tenth."""
        return list(self.pages)[: ceil(len(self.pages) / _TENTHS)]


@click.command()
@click.option("--accounts", default=200, show_default=True, type=click.IntRange(min=10))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--largest", default=60, show_default=True, type=click.IntRange(min=2), help="Pages.")
@click.option("--seed", "chance", default=1, show_default=True, help="Seed of the order of submission.")
def main(accounts: int, workers: int, largest: int, chance: int) -> None:
    """Measure and print."""
    burst = Burst.of(accounts, largest=largest)
    options = StackOptions(workers=0, settings={"HUBSPOT_RATE_LIMIT": "0"})
    with running_stack(options) as stack:
        for account, pages in burst.pages.items():
            seed(stack, account, records={"contacts": pages * _PAGE}, rate_limit=0, latency_s=_LATENCY_S)
        syncs = _submit(stack, random.Random(chance).sample(list(burst.pages), accounts))  # noqa: S311 - an order
        for worker in [stack.start_worker() for _ in range(workers)]:
            worker.wait_ready()
        together = _durations(stack, syncs, since=datetime.now(UTC))
        began_at = datetime.now(UTC)
        alone = _durations(stack, _submit(stack, burst.small), since=began_at)
    show(_table(burst, together, alone, workers=workers))


def _submit(stack: Stack, accounts: Sequence[Account]) -> dict[Account, str]:
    """Start a sync of each account; return the job ids."""
    with requests.Session() as session:
        return {account: _start(stack, account, session) for account in accounts}


def _durations(stack: Stack, syncs: Mapping[Account, str], *, since: datetime) -> dict[Account, float]:
    """Wait for the syncs; return the seconds until each was finished."""
    with open_database(stack) as database:
        ends = _ends(database, list(syncs.values()))
    return {account: max(0.0, (ends[job_id] - since).total_seconds()) for account, job_id in syncs.items()}


def _start(stack: Stack, account: Account, session: requests.Session) -> str:
    headers = {"Authorization": f"Bearer {mint_jwt(stack, account, life=timedelta(hours=1))}"}
    answer = session.post(f"{stack.shim_url}{_SYNC}", json={"types": ["contacts"]}, headers=headers, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    job_id: str = answer.json()["data"]["job_id"]
    return job_id


def _ends(database: MongoDatabase, job_ids: Sequence[str]) -> dict[str, datetime]:
    give_up_at = time.monotonic() + _GIVE_UP_S
    wanted = {"_id": {"$in": list(job_ids)}}
    while True:
        found = list(database[COLLECTION].find(wanted, {"status": True, "finished_at": True}))
        if failed := [job for job in found if job["status"] in {"failed", "cancelled"}]:
            raise click.ClickException(f"{len(failed)} syncs have failed")
        if all(job["status"] == "succeeded" for job in found):
            return {job["_id"]: job["finished_at"] for job in found}
        if time.monotonic() > give_up_at:
            raise click.ClickException(f"the syncs have not ended in {_GIVE_UP_S:g} s")
        time.sleep(_POLL_S)


def _table(burst: Burst, together: Mapping[Account, float], alone: Mapping[Account, float], *, workers: int) -> Table:
    ordered = list(burst.pages)
    title = f"{len(ordered)} accounts sync at once on {workers} workers"
    table = figures_table(title, "tenth", "pages", "done after s: first", "median", "last", labels=0)
    size = len(ordered) / _TENTHS
    for tenth in range(_TENTHS):
        some = ordered[round(tenth * size) : round((tenth + 1) * size)]
        _add_row(table, str(tenth + 1), [burst.pages[each] for each in some], [together[each] for each in some])
    table.add_section()
    _add_row(table, "1 alone", [burst.pages[each] for each in alone], list(alone.values()))
    _add_row(table, "all", list(burst.pages.values()), list(together.values()))
    sizes, seconds = [float(burst.pages[each]) for each in ordered], [together[each] for each in ordered]
    correlation = statistics.correlation(_ranks(sizes), _ranks(seconds))
    table.caption = f"rank correlation of size and time: {correlation:.2f}"
    return table


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [ordered.index(each) + (ordered.count(each) - 1) / 2 for each in values]


def _add_row(table: Table, name: str, pages: Sequence[int], seconds: Sequence[float]) -> None:
    times = (min(seconds), statistics.median(seconds), max(seconds))
    table.add_row(name, f"{min(pages)} to {max(pages)}", *(f"{each:.1f}" for each in times))


if __name__ == "__main__":
    main()
