"""How one export grows: time, processor time and memory over its size, and reading its results from any place.

    python -m benchmarks.growth [--records 10000 --records 100000 --records 1000000] [--reads 50]

Contacts of some 30 properties, 100 a page, from HubSpot's stand-in on this machine, which answers at once. Linear time
shows as the same µs a record in every row, flat memory as the same MB, and reads as the same ms wherever they begin.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

import click
import requests
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from benchmarks.peers.measuring import Cost, RunningProcess
from sandbox.export_api import ExportApi
from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

_ACCOUNT = Account(account_id="account", owner="user", hub_id=1)
_A_READ = 100
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What an export of so many records cost, the bytes it takes on disk, and the seconds to read 100 of them."""

    records: int
    worker: Cost
    mongod: Cost
    first_read_s: float
    late_read_s: float
    stored_bytes: int


@click.command()
@click.option(
    "--records", "sizes", default=(10_000, 100_000, 1_000_000), show_default=True, multiple=True, type=click.INT
)
@click.option("--reads", default=50, show_default=True, type=click.IntRange(1), help="Reads at each place; the median.")
def main(sizes: tuple[int, ...], reads: int) -> None:
    """Measure and print."""
    grown = [_measure(records, reads=reads) for records in sorted(sizes)]
    Console(width=max(Console().width, _WIDTH)).print(_table(grown))


def _measure(records: int, *, reads: int) -> Growth:
    """Export on a stack of its own: the peak of a process is that of its whole life."""
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"})
    with temporary_state() as folder, Stack(folder, options=options) as stack, requests.Session() as session:
        seed(stack, _ACCOUNT, records={"contacts": records}, rich=True, rate_limit=0)
        token = mint_jwt(stack, _ACCOUNT, life=timedelta(hours=2))
        api = ExportApi(stack.shim_url, token=token, session=session)
        worker, mongod = (RunningProcess(each.pid) for each in (stack.workers[0], stack.mongo.members[0]))
        path = _exported(api, records)
        late = records * 9 // 10
        return Growth(
            records=records,
            worker=worker.cost(),
            mongod=mongod.cost(),
            first_read_s=_read_s(api, path, 0, reads=reads),
            late_read_s=_read_s(api, path, late, reads=reads),
            stored_bytes=_stored_bytes(stack),
        )


def _exported(api: ExportApi, records: int) -> str:
    path = api.start("contacts")
    while not (job := api.job(path)).has_ended:
        time.sleep(0.05)
    if (job.status, job.records) != ("succeeded", records):
        raise click.ClickException(f"the export {job.status} with {job.records} of {records} records: {job.error}")
    return path


def _read_s(api: ExportApi, path: str, offset: int, *, reads: int) -> float:
    seconds = []
    for _ in range(reads):
        began_at = time.monotonic()
        api.results(path, limit=_A_READ, offset=offset)
        seconds.append(time.monotonic() - began_at)
    return median(seconds)


def _stored_bytes(stack: Stack) -> int:
    """Give what the pages take on disk, with their indexes."""
    with MongoClient[dict[str, Any]](stack.settings["MONGODB_URI"]) as client:
        database = client[stack.settings["MONGODB_DATABASE"]]
        client.admin.command("fsync")
        return int(database.command("collStats", "integrations.hubspot.pages")["totalSize"])


def _table(grown: Sequence[Growth]) -> Table:
    table = Table(title="One export")
    headings = ("records", "s", "µs/record", "worker CPU µs/record", "mongod CPU µs/record", "worker peak MB")
    reads = ("bytes a record", "read at 0, ms", "read at 90 %, ms")
    for heading in (*headings, *reads):
        table.add_column(heading, justify="right")
    for each in grown:
        table.add_row(
            f"{each.records:,}",
            f"{each.worker.wall_s:.1f}",
            f"{each.worker.wall_s / each.records * 1e6:.1f}",
            f"{each.worker.cpu_s / each.records * 1e6:.1f}",
            f"{each.mongod.cpu_s / each.records * 1e6:.1f}",
            f"{each.worker.peak_mb:.0f}",
            f"{each.stored_bytes / each.records:.0f}",
            f"{each.first_read_s * 1000:.1f}",
            f"{each.late_read_s * 1000:.1f}",
        )
    return table


if __name__ == "__main__":
    main()
