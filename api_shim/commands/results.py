"""`hubspot-export results`: read what a job exported."""

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
@click.option("--limit", type=click.IntRange(1, 1000), help="Most records.  [default: 10]")
@click.option("--offset", metavar="OFFSET", help="Where to go on: pagination.offset of the answer before.")
@click.option("--all", "everything", is_flag=True, help="All records, one JSON object a line, as HubSpot sent them.")
@out_option()
@with_api
def command(  # noqa: PLR0913 - a command takes what a command line can say, each by name
    api: ExportApi, /, *, job_id: str, limit: int | None, offset: str | None, everything: bool, out: Path | None
) -> None:
    """Read what a job has exported so far, in the documented body.

    With --all, a job that still runs is waited for, and anything but success is exit status 1: the records of a job
    that failed go to stdout nevertheless, never to FILE.
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
