"""`hubspot-export disconnect`: remove the account's stored token."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import with_api


@click.command("disconnect")
@with_api
def command(api: ExportApi, /) -> None:
    """Remove the stored token of the JWT's account and user. Jobs that still need it fail; what they stored stays.

    HubSpot is told nothing: to take the app out of the account, uninstall it there.
    """
    api.disconnect()
    click.echo("The account is disconnected: its token is gone")
