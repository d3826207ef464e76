"""`hubspot-export results` and `download`: read what a job has exported."""

from __future__ import annotations

from pathlib import Path

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.downloading import write_download
from api_shim.commands.following import require_success, wait_for_end
from api_shim.commands.options import out_option, with_api
from api_shim.commands.output import open_output


@click.command("results")
@click.argument("job_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 1000), help="The maximum number of records.  [default: 10]")
@click.option("--offset", metavar="OFFSET", help="Where to continue: pagination.offset of the previous answer.")
@click.option("--all", "everything", is_flag=True, help="All records, one JSON object a line, as HubSpot sent them.")
@out_option()
@with_api
def results(  # noqa: PLR0913 - a command takes what a command line can say, each by name
    api: ExportApi, /, *, job_id: str, limit: int | None, offset: str | None, everything: bool, out: Path | None
) -> None:
    """Read what a job has exported so far, in the documented body.

    With --all the command waits for a running job, and exits with status 1 unless it succeeds: the records of a failed
    job still go to stdout, never to FILE.
    """
    if everything and (limit is not None or offset is not None):
        raise click.UsageError("--all takes neither --limit nor --offset")
    with open_output(out) as sink:
        if everything:
            job = wait_for_end(api, job_id)
            write_download(api, job_id, sink)
            require_success(job)
        else:
            sink.write(api.results_body(job_id, limit=limit, offset=offset) + b"\n")


@click.command("download")
@click.argument("job_id", metavar="ID")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["ndjson", "csv"]),
    default="ndjson",
    show_default=True,
    help="One record a line, as HubSpot sent it, or a table with a column a property.",
)
@click.option("--bom", is_flag=True, help="Start the CSV with a byte order mark, by which Excel recognises UTF-8.")
@out_option()
@with_api
def download(api: ExportApi, /, *, job_id: str, file_format: str, bom: bool, out: Path | None) -> None:
    """Download all records of a job that has ended, however it ended.

    A running job is refused: `results --all` waits for it.
    """
    if bom and file_format != "csv":
        raise click.UsageError("--bom is for --format csv only")
    with open_output(out) as sink:
        write_download(api, job_id, sink, {"format": file_format, **({"bom": "true"} if bom else {})})
