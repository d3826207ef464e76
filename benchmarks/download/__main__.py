"""What a download costs, in time and in the shim's memory: one export as NDJSON and as CSV, plain and with gzip.

    python -m benchmarks.download [--records 1000000] [--type contacts]

The export is not run: its pages, with records as HubSpot's stand-in makes them, are put straight into MongoDB. Then a
shim, which is a process of its own, sends them in one download after the other, and the client drops them.

bare loop    the same pages read with pymongo and decompressed, in this process: what NDJSON is measured by
bare table   the same, and Python's csv.writer over rows of texts that are there already, which decoding, titles, ISO
             dates and formulas are no part of: what CSV is measured by
processor    time on a processor, of the shim or of the bare loop, also a record, and as a multiple of the loop it is
             measured by: other work on the machine lengthens it less than the seconds on the clock
memory       the largest resident set of the shim during the download
first byte   when the first byte of the body came; a CSV whose columns are not known yet needs all records for it
CSV, again   the second CSV of a job, whose columns are known
"""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table

from benchmarks.download.reading import Reading, download, read_bare, write_bare
from benchmarks.download.stored import open_database, store_export
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from worker.records.types import ExportType

_WAYS: Mapping[str, tuple[str, str]] = {
    "NDJSON": ("format=ndjson", "identity"),
    "NDJSON, gzip": ("format=ndjson", "gzip"),
    "CSV": ("format=csv", "identity"),
    "CSV, again": ("format=csv", "identity"),
    "CSV, again, gzip": ("format=csv", "gzip"),
}
_MEGABYTE = 1e6
_WIDTH = 120


@click.command()
@click.option("--records", default=1_000_000, show_default=True, type=click.IntRange(1))
@click.option(
    "--type", "name", default="contacts", show_default=True, type=click.Choice([each.value for each in ExportType])
)
def main(records: int, name: str) -> None:
    """Measure and print."""
    with temporary_state() as folder, Stack(folder, options=StackOptions(workers=0, beats=0)) as stack:
        with open_database(stack) as database:
            job = store_export(database, ExportType(name), records)
            bare = read_bare(database, job)
            bare_table = write_bare(database, job, bare)
        table = Table(
            *("", "seconds", "processor", "µs/record", "of bare", "MB", "MB/s", "records/s", "first byte", "memory"),
            title=f"{records:,} {name} in {job.progress.pages:,} pages, {bare.bytes / records:,.0f} bytes each",
        )
        table.add_row("bare loop", *_cells(bare, bare, records))
        table.add_row("bare table", *_cells(bare_table, bare_table, records))
        for way, (query, coding) in _WAYS.items():
            reading = download(stack, job, query=query, coding=coding)
            memory = f"{reading.resident / _MEGABYTE:.0f} MB"
            floor = bare if way.startswith("NDJSON") else bare_table
            table.add_row(way, *_cells(reading, floor, records), f"{reading.first_byte_s:.2f} s", memory)
    Console(width=_WIDTH).print(table)


def _cells(reading: Reading, bare: Reading, records: int) -> tuple[str, ...]:
    megabytes = reading.bytes / _MEGABYTE
    return (
        f"{reading.seconds:.1f}",
        f"{reading.cpu_s:.1f} s",
        f"{reading.cpu_s / records * 1e6:.1f}",
        f"{reading.cpu_s / bare.cpu_s:.1f} x",
        f"{megabytes:,.0f}",
        f"{megabytes / reading.seconds:,.0f}",
        f"{records / reading.seconds:,.0f}",
    )


if __name__ == "__main__":
    main()
