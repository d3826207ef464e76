"""`hubspot-export sync`: sync the account now; with `--wait` see it through."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.following import outlived_by, require_success, wait_for_end
from api_shim.commands.options import types_option, with_api
from api_shim.commands.output import open_output


@click.command("sync")
@types_option
@click.option("--wait", is_flag=True, help="Wait for the end and show the job; anything but success is exit status 1.")
@click.option("--label", help="Your own name for the job.")
@with_api
def command(api: ExportApi, /, *, types: list[str] | None, wait: bool, label: str | None) -> None:
    """Export all records of all types, or of those that are named, side by side.

    Without --wait the job's id is printed, and the sync goes on by itself. Its children are the exports.
    """
    wanted = {"types": types, "label": label}
    started = api.start_sync({name: value for name, value in wanted.items() if value is not None})
    if not wait:
        click.echo(started.job_id)
        return
    with outlived_by(started.job_id):
        click.echo(f"job {started.job_id}", err=True)
        ended = wait_for_end(api, started.job_id)
    with open_output(None) as out:
        out.write(api.job_body(started.job_id) + b"\n")
    require_success(ended)
