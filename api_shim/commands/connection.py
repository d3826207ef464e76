"""`hubspot-export connection`: show how the account is connected to HubSpot."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import with_api
from api_shim.commands.output import open_output


@click.command("connection")
@click.option("--recheck", is_flag=True, help="Have HubSpot's legacy lists that were found to be gone asked for again.")
@with_api
def command(api: ExportApi, /, *, recheck: bool) -> None:
    """Show the connection of the JWT's account and user as the API describes it; the token is never shown."""
    answer = api.recheck_connection() if recheck else api.connection()
    with open_output(None) as out:
        out.write(answer + b"\n")
