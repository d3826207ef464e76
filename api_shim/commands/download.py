"""`hubspot-export download`: everything a finished job has exported, as one file."""

from __future__ import annotations

from pathlib import Path

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.downloading import write_download
from api_shim.commands.options import out_option, with_api
from api_shim.commands.output import open_output


@click.command("download")
@click.argument("job_id", metavar="ID")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["ndjson", "csv"]),
    default="ndjson",
    show_default=True,
    help="A record a line, as HubSpot sent it, or a table with a column a property.",
)
@click.option("--bom", is_flag=True, help="Begin the CSV with a byte order mark, from which Excel knows UTF-8.")
@out_option()
@with_api
def command(api: ExportApi, /, *, job_id: str, file_format: str, bom: bool, out: Path | None) -> None:
    """Download all records of a job that has ended, whatever its end.

    One that still runs is refused: `results --all` waits for it.
    """
    if bom and file_format != "csv":
        raise click.UsageError("--bom is for --format csv only")
    with open_output(out) as sink:
        write_download(api, job_id, sink, {"format": file_format, **({"bom": "true"} if bom else {})})
