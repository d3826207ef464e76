"""The cost of a download in time and in the shim's memory: one export as NDJSON and as CSV, plain and with gzip.

    python -m benchmarks.download [--records 1000000] [--type contacts]

No export runs: its pages, with records of the fake HubSpot, are inserted into MongoDB directly. Then a shim process
sends them in one download after the other, and the client discards them.

bare loop    baseline of NDJSON: the same pages read with pymongo and decompressed, in this process
bare table   baseline of CSV: the same, plus csv.writer over rows that are texts already, without decoding, titles,
             ISO dates and formula escaping
CPU          CPU time of the shim or of the bare loop, in total, per record, and as a multiple of the baseline; other
             load on the machine affects it less than wall time
memory       peak resident set of the shim during the download
first byte   time to the first byte of the body; a first CSV has to read all records to know its columns
CSV, again   the second CSV of a job, whose columns are stored by then
"""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.table import Table

from benchmarks.download.reading import Reading, download, read_bare, write_bare
from benchmarks.download.stored import store_export
from benchmarks.stacks import open_database, running_stack
from benchmarks.tables import show
from sandbox.stack import StackOptions
from worker.records.types import DOCUMENTED_TYPES, ExportType

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
@click.option("--type", "name", default="contacts", show_default=True, type=click.Choice(list(DOCUMENTED_TYPES)))
def main(records: int, name: str) -> None:
    """Measure and print."""
    with running_stack(StackOptions(workers=0, beats=0)) as stack:
        with open_database(stack) as database:
            job = store_export(database, ExportType(name), records)
            bare = read_bare(database, job)
            bare_table = write_bare(database, job, bare)
        table = Table(
            *("", "seconds", "CPU", "µs/record", "of bare", "MB", "MB/s", "records/s", "first byte", "memory"),
            title=f"{records:,} {name} in {job.progress.pages:,} pages, {bare.bytes / records:,.0f} bytes each",
        )
        table.add_row("bare loop", *_cells(bare, bare, records))
        table.add_row("bare table", *_cells(bare_table, bare_table, records))
        for way, (query, coding) in _WAYS.items():
            reading = download(stack, job, query=query, coding=coding)
            memory = f"{reading.resident / _MEGABYTE:.0f} MB"
            baseline = bare if way.startswith("NDJSON") else bare_table
            table.add_row(way, *_cells(reading, baseline, records), f"{reading.first_byte_s:.2f} s", memory)
    show(table, width=_WIDTH)


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
