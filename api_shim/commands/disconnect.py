"""`hubspot-export disconnect`: remove the account's stored token, or the copy of a portal it had before."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import with_api


@click.command("disconnect")
@click.option(
    "--portal",
    type=click.IntRange(min=0),
    metavar="HUB_ID",
    help="Remove the current copy of this HubSpot portal, which is not connected any more, and no token.",
)
@with_api
def command(api: ExportApi, /, *, portal: int | None) -> None:
    """Remove the stored token of the JWT's account and user. Jobs that still need it fail; what they stored stays.

    HubSpot is told nothing: to take the app out of the account, uninstall it there. `connection` lists the portals.
    """
    if portal is not None:
        api.remove_portal(portal)
        click.echo(f"The copy of HubSpot portal {portal} is removed")
        return
    api.disconnect()
    click.echo("The account is disconnected: its token is gone")
