"""A burst of exports by many accounts on one worker: records per second and core, and memory, by pool.

    python -m benchmarks.accounts [--accounts 1 --accounts 10 --accounts 100 --accounts 400] [--pool threads:100 …]

Every account exports once, all at the same time; the total number of records stays about the same. The fake HubSpot
takes 200 ms to answer, as HubSpot may, so that many waiting exports share a core. "Per core" means per second of the
worker's CPU time, which includes all processes of a pool.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
import psutil
import requests
from rich.table import Table

from benchmarks.stacks import api_of, look_at, running_stack
from benchmarks.tables import figures_table, show
from sandbox.export_api import ExportApi
from sandbox.seeding import Account, seed
from sandbox.stack import Stack, StackOptions

_PAGE = 100
_LEAST_PAGES = 5
_SAMPLE_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A Celery pool and its concurrency."""

    kind: str
    slots: int

    def __str__(self) -> str:
        return f"{self.kind}, {self.slots}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstCost:
    """The cost of a burst on one worker; memory is that of all its processes."""

    pool: Pool
    accounts: int
    records: int
    wall_s: float
    cpu_s: float
    peak_mb: float


class _PoolType(click.ParamType[Pool]):
    name = "kind:slots"

    def convert(self, value: str | Pool, param: click.Parameter | None, ctx: click.Context | None) -> Pool:
        if isinstance(value, Pool):
            return value
        kind, _, slots = value.partition(":")
        if kind not in {"threads", "processes", "solo"} or not slots.isdecimal() or not int(slots):
            self.fail("must be threads:N or processes:N", param, ctx)
        return Pool(kind=kind, slots=int(slots))


@click.command()
@click.option("--accounts", "sizes", default=(1, 10, 100, 400), show_default=True, multiple=True, type=click.INT)
@click.option("--pool", "pools", default=("threads:100", "processes:16"), multiple=True, type=_PoolType())
@click.option("--records", default=50_000, show_default=True, type=click.IntRange(1000), help="Total of all accounts.")
@click.option("--latency", default=0.2, show_default=True, help="Seconds that HubSpot takes to answer.")
def main(sizes: tuple[int, ...], pools: tuple[Pool, ...], records: int, latency: float) -> None:
    """Measure and print."""
    costs = [
        _measure(pool, accounts, records=min(records, accounts * records // 10), latency_s=latency)
        for pool in pools
        for accounts in sizes
    ]
    show(_table(costs, f"HubSpot answers in {latency * 1000:g} ms, one worker"))


def _measure(pool: Pool, accounts: int, *, records: int, latency_s: float) -> BurstCost:
    pages = max(_LEAST_PAGES, records // accounts // _PAGE)
    options = StackOptions(
        settings={"HUBSPOT_RATE_LIMIT": "0"},
        worker_arguments=(f"--pool={pool.kind}", f"--concurrency={pool.slots}"),
    )
    with running_stack(options) as stack, requests.Session() as session:
        apis = list(_connected(stack, session, accounts, pages=pages, latency_s=latency_s))
        sampler = _TreeSampler(stack.workers[0].pid)
        began_at = time.monotonic()
        open_jobs = [(api, api.start("contacts")) for api in apis]
        while open_jobs:
            time.sleep(_SAMPLE_EVERY_S)
            sampler.sample()
            open_jobs = [each for each in open_jobs if not look_at(*each, records=pages * _PAGE).has_ended]
        wall_s = time.monotonic() - began_at
        return BurstCost(
            pool=pool,
            accounts=accounts,
            records=accounts * pages * _PAGE,
            wall_s=wall_s,
            cpu_s=sampler.cpu_s,
            peak_mb=sampler.peak_mb,
        )


def _connected(
    stack: Stack, session: requests.Session, accounts: int, *, pages: int, latency_s: float
) -> Iterator[ExportApi]:
    for number in range(1, accounts + 1):
        account = Account(account_id=f"account-{number}", owner="user", hub_id=number)
        seed(stack, account, records={"contacts": pages * _PAGE}, rich=True, rate_limit=0, latency_s=latency_s)
        yield api_of(stack, account, session)


class _TreeSampler:
    """Adds up the CPU time and the memory (USS) of a process and its children."""

    def __init__(self, process_id: int) -> None:
        self._process = psutil.Process(process_id)
        self._cpu_before_s = self._cpu_s()
        self.peak_mb = 0.0

    def sample(self) -> None:
        memory = sum(each.memory_full_info().uss for each in self._all())
        self.peak_mb = max(self.peak_mb, memory / 1e6)

    @property
    def cpu_s(self) -> float:
        return self._cpu_s() - self._cpu_before_s

    def _cpu_s(self) -> float:
        return sum(times.user + times.system for times in (each.cpu_times() for each in self._all()))

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


def _table(costs: Sequence[BurstCost], title: str) -> Table:
    headings = ("accounts", "records", "s", "records/s", "CPU µs/record", "records/s a core", "peak MB (USS)")
    table = figures_table(title, "pool", *headings)
    for each in costs:
        table.add_row(
            str(each.pool),
            f"{each.accounts}",
            f"{each.records:,}",
            f"{each.wall_s:.1f}",
            f"{each.records / each.wall_s:,.0f}",
            f"{each.cpu_s / each.records * 1e6:.1f}",
            f"{each.records / each.cpu_s:,.0f}",
            f"{each.peak_mb:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
