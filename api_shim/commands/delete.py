"""`hubspot-export delete`: remove a job and its results."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import with_api


@click.command("delete")
@click.argument("job_id", metavar="ID")
@with_api
def command(api: ExportApi, /, *, job_id: str) -> None:
    """Remove a job and its results for good. A running one has to be cancelled first."""
    api.delete(job_id)
    click.echo(f"Job {job_id} and its results are gone")
