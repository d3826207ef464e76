"""`hubspot-export cancel`: stop a job."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import with_api
from api_shim.commands.output import open_output


@click.command("cancel")
@click.argument("job_id", metavar="ID")
@with_api
def command(api: ExportApi, /, *, job_id: str) -> None:
    """Have a job stop at its next page, and show it as it stands: cancelled, or still running.

    What it has exported stays, and can be read; `retry` has it go on from there.
    """
    answer = api.cancel(job_id)
    with open_output(None) as out:
        out.write(answer + b"\n")
