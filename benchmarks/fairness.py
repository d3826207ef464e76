"""Whether a small account is done in proportion to its size when many accounts sync at once.

    python -m benchmarks.fairness [--accounts 200] [--workers 2] [--largest 60]

The accounts' sizes, in pages, are spread over nearly two orders of magnitude, as many between 1 and 2 as between 10
and 20. All of them have asked for a sync, in a random order, before the first worker is there, so that they begin at
the same moment. HubSpot's stand-in takes 100 ms for an answer. Afterwards the smallest tenth asks again, with nobody
else there.

rank correlation   of size and time (Spearman): 1 where a larger account never ends before a smaller one, 0 by chance
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
from rich.console import Console
from rich.table import Table

from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from worker.jobs.mongo.documents import COLLECTION
from worker.mongo.database import MongoDatabase, connect

_SYNC = "/v1/integrations/hubspot/sync"
_PAGE = 100
_LATENCY_S = 0.1
_TENTHS = 10
_LOOK_EVERY_S = 0.25
_GIVE_UP_S = 500.0
_TIMEOUT_S = 60.0
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Accounts by the number of their pages, smallest first."""

    pages: Mapping[Account, int]

    @classmethod
    def of(cls, accounts: int, *, largest: int) -> Crowd:
        """Spread sizes evenly on a logarithmic scale."""
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
@click.option("--seed", "chance", default=1, show_default=True, help="Of the order in which they ask.")
def main(accounts: int, workers: int, largest: int, chance: int) -> None:
    """Measure and print."""
    crowd = Crowd.of(accounts, largest=largest)
    options = StackOptions(workers=0, settings={"HUBSPOT_RATE_LIMIT": "0"})
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        for account, pages in crowd.pages.items():
            seed(stack, account, records={"contacts": pages * _PAGE}, rate_limit=0, latency_s=_LATENCY_S)
        asked = _ask(stack, random.Random(chance).sample(list(crowd.pages), accounts))  # noqa: S311 - an order
        for worker in [stack.start_worker() for _ in range(workers)]:
            worker.wait_ready()
        together = _follow(stack, asked, since=datetime.now(UTC))
        began_at = datetime.now(UTC)
        alone = _follow(stack, _ask(stack, crowd.small), since=began_at)
    Console(width=max(Console().width, _WIDTH)).print(_table(crowd, together, alone, workers=workers))


def _ask(stack: Stack, accounts: Sequence[Account]) -> dict[Account, str]:
    """Start a sync of each, and give the ids of these."""
    with requests.Session() as session:
        return {account: _start(stack, account, session) for account in accounts}


def _follow(stack: Stack, syncs: Mapping[Account, str], *, since: datetime) -> dict[Account, float]:
    """Give after how many seconds each sync was done."""
    settings = stack.settings
    database = connect(settings["MONGODB_URI"], database=settings["MONGODB_DATABASE"], timeout_s=_TIMEOUT_S)
    with database.client:
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
        time.sleep(_LOOK_EVERY_S)


def _table(crowd: Crowd, together: Mapping[Account, float], alone: Mapping[Account, float], *, workers: int) -> Table:
    ordered = list(crowd.pages)
    table = Table(title=f"{len(ordered)} accounts sync at once on {workers} workers")
    for heading in ("tenth", "pages", "done after s: first", "median", "last"):
        table.add_column(heading, justify="right")
    size = len(ordered) / _TENTHS
    for tenth in range(_TENTHS):
        some = ordered[round(tenth * size) : round((tenth + 1) * size)]
        _add_row(table, str(tenth + 1), [crowd.pages[each] for each in some], [together[each] for each in some])
    table.add_section()
    _add_row(table, "1 alone", [crowd.pages[each] for each in alone], list(alone.values()))
    _add_row(table, "all", list(crowd.pages.values()), list(together.values()))
    sizes, seconds = [float(crowd.pages[each]) for each in ordered], [together[each] for each in ordered]
    correlation = statistics.correlation(_ranks(sizes), _ranks(seconds))
    table.caption = f"rank correlation of size and time: {correlation:.2f}"
    return table


def _ranks(values: Sequence[float]) -> list[float]:
    """Give the place of each among all, equal ones the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(each) + (ordered.count(each) - 1) / 2 for each in values]


def _add_row(table: Table, name: str, pages: Sequence[int], seconds: Sequence[float]) -> None:
    times = (min(seconds), statistics.median(seconds), max(seconds))
    table.add_row(name, f"{min(pages)} to {max(pages)}", *(f"{each:.1f}" for each in times))


if __name__ == "__main__":
    main()
