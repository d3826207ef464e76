"""`hubspot-export job`: show a job."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.following import require_success, wait_for_end
from api_shim.commands.options import wait_option, with_api
from api_shim.commands.output import open_output


@click.command("job")
@click.argument("job_id", metavar="ID")
@wait_option
@with_api
def command(api: ExportApi, /, *, job_id: str, longest_s: int | None) -> None:
    """Show a job as the API describes it."""
    ended = wait_for_end(api, job_id, longest_s=longest_s) if longest_s is not None else None
    with open_output(None) as out:
        out.write(api.job_body(job_id) + b"\n")
    if ended is not None:
        require_success(ended)
