"""`hubspot-export connection` and `disconnect`: show how the account is connected to HubSpot, or end that."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import with_api
from api_shim.commands.output import write_answer


@click.command("connection")
@click.option("--recheck", is_flag=True, help="Ask again for HubSpot's legacy lists that were found to be gone.")
@with_api
def connection(api: ExportApi, /, *, recheck: bool) -> None:
    """Show the connection of the JWT's account and user as the API describes it; the token is never shown."""
    write_answer(api.recheck_connection() if recheck else api.connection())


@click.command("disconnect")
@click.option(
    "--portal",
    type=click.IntRange(min=0),
    metavar="HUB_ID",
    help="Remove the current copy of this HubSpot portal, which is no longer connected, and no token.",
)
@with_api
def disconnect(api: ExportApi, /, *, portal: int | None) -> None:
    """Remove the stored token of the JWT's account and user. Jobs that still need it fail; what they stored stays.

    HubSpot is not told: to remove the app from the HubSpot account, uninstall it there. `connection` lists the portals.
    """
    if portal is not None:
        api.remove_portal(portal)
        click.echo(f"The copy of HubSpot portal {portal} is removed")
        return
    api.disconnect()
    click.echo("The account is disconnected: its token is gone")
