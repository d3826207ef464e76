"""`hubspot-export token-endpoint`: what HubSpot has said of the token endpoint that is set, and taking that back."""

from __future__ import annotations

import click

from api_shim.commands.database import open_database
from worker.accounts.mongo.token_endpoints import MongoTokenEndpoints
from worker.accounts.token_endpoint import GoneEndpoint
from worker.settings import StoreSettings, load


@click.command("token-endpoint")
@click.option("--recheck", is_flag=True, help="Forget it: the workers ask the endpoint that is set first again.")
def command(*, recheck: bool) -> None:
    """Show whether HubSpot has said that the token endpoint which is set, HUBSPOT_TOKEN_ENDPOINT, is gone.

    After two such answers, a minute apart, all workers ask the endpoint's other version first. Nothing is asked of
    HubSpot here; needs MongoDB, like `connect`.
    """
    with open_database(load(StoreSettings)) as database:
        memory = MongoTokenEndpoints(database)
        known = memory.known()
        if recheck:
            for each in known:
                memory.forget(each.url)
    if not known:
        click.echo("HubSpot has not said of any token endpoint that it is gone")
    for each in known:
        click.echo(f"{each.url}: {describe(each)}{'; forgotten' if recheck else ''}")


def describe(known: GoneEndpoint) -> str:
    """Say when HubSpot said what, and what follows from it."""
    said = f"gone since {known.first_at:%Y-%m-%dT%H:%M:%SZ} (status {known.status}: {known.reason})"
    if known.moved_at is None:
        return f"{said}, said once: asked first all the same"
    return f"{said}, said again: its other version is asked first since {known.moved_at:%Y-%m-%dT%H:%M:%SZ}"
