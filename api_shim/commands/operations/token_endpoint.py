"""`hubspot-export token-endpoint`: show or reset whether the configured token endpoint is known to be gone."""

from __future__ import annotations

import click

from api_shim.commands.database import open_database
from worker.accounts.mongo.token_endpoints import MongoTokenEndpoints
from worker.accounts.token_endpoint import GoneEndpoint
from worker.settings import StoreSettings, load


@click.command("token-endpoint")
@click.option("--recheck", is_flag=True, help="Forget it: the workers try the configured endpoint first again.")
def command(*, recheck: bool) -> None:
    """Show whether HubSpot has answered that the configured token endpoint, HUBSPOT_TOKEN_ENDPOINT, is gone.

    After two such answers, a minute apart, all workers try the endpoint's other version first. The command does not
    call HubSpot; it needs MongoDB, like `connect`.
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
    said = f"gone since {known.first_at:%Y-%m-%dT%H:%M:%SZ} (status {known.status}: {known.reason})"
    if known.moved_at is None:
        return f"{said}, said once: asked first all the same"
    return f"{said}, said again: its other version is asked first since {known.moved_at:%Y-%m-%dT%H:%M:%SZ}"
