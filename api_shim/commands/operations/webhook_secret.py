"""`hubspot-export webhook-secret`: the secret that verifies the webhooks of an account."""

from __future__ import annotations

import click

from api_shim.commands.options import checked_id
from worker.settings import StoreSettings, load
from worker.webhooks.signature import Signer


@click.command("webhook-secret")
@click.argument("account_id", callback=checked_id)
def command(*, account_id: str) -> None:
    """Print the secret that the webhooks of ACCOUNT_ID are signed with, for their receivers.

    If WEBHOOK_SECRET holds several, there is one line for each; a receiver needs one of them, preferably the first.
    """
    secrets = Signer(load(StoreSettings).webhook_secret).secrets_of(account_id)
    if not secrets:
        raise click.ClickException("There are no webhooks: WEBHOOK_SECRET is not set")
    for secret in secrets:
        click.echo(secret.get_secret_value())
