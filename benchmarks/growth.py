"""How the cost of an export grows with its size: time, CPU time, memory, and reads at any offset of its results.

    python -m benchmarks.growth [--records 10000 --records 100000 --records 1000000] [--reads 50]

Contacts with some 30 properties, 100 a page, from the fake HubSpot, which answers without delay. Linear time shows as
equal µs per record in all rows, constant memory as equal MB, and reads take equal ms at every offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import click
import requests
from rich.table import Table

from benchmarks.measuring import Cost, RunningProcess, elapsed_s
from benchmarks.stacks import ACCOUNT, api_of, finished, open_database, running_stack
from benchmarks.tables import figures_table, show
from sandbox.export_api import ExportApi
from sandbox.seeding import seed
from sandbox.stack import Stack, StackOptions

_A_READ = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The cost of one export, its size on disk, and the seconds to read 100 records."""

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
@click.option("--reads", default=50, show_default=True, type=click.IntRange(1), help="Reads per offset; the median.")
def main(sizes: tuple[int, ...], reads: int) -> None:
    """Measure and print."""
    show(_table([_measure(records, reads=reads) for records in sorted(sizes)]))


def _measure(records: int, *, reads: int) -> Growth:
    """Measure on a new stack, because the peak memory of a process covers its whole life."""
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"})
    with running_stack(options) as stack, requests.Session() as session:
        seed(stack, ACCOUNT, records={"contacts": records}, rich=True, rate_limit=0)
        api = api_of(stack, ACCOUNT, session)
        worker, mongod = (RunningProcess(each.pid) for each in (stack.workers[0], stack.mongo.members[0]))
        path = api.start("contacts")
        finished(api, path, records=records)
        return Growth(
            records=records,
            worker=worker.cost(),
            mongod=mongod.cost(),
            first_read_s=_read_s(api, path, 0, reads=reads),
            late_read_s=_read_s(api, path, records * 9 // 10, reads=reads),
            stored_bytes=_stored_bytes(stack),
        )


def _read_s(api: ExportApi, path: str, offset: int, *, reads: int) -> float:
    return median(elapsed_s(lambda: api.results(path, limit=_A_READ, offset=offset)) for _ in range(reads))


def _stored_bytes(stack: Stack) -> int:
    """Return the size of the pages on disk, including their indexes."""
    with open_database(stack) as database:
        database.client.admin.command("fsync")
        return int(database.command("collStats", "integrations.hubspot.pages")["totalSize"])


def _table(grown: Sequence[Growth]) -> Table:
    headings = ("records", "s", "µs/record", "worker CPU µs/record", "mongod CPU µs/record", "worker peak MB")
    reads = ("bytes a record", "read at 0, ms", "read at 90 %, ms")
    table = figures_table("One export", *headings, *reads, labels=0)
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
