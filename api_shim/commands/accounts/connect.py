"""`hubspot-export connect`: store the OAuth token of an account and its owner."""

from __future__ import annotations

import sys

import click

from api_shim.commands.accounts.token_input import Clock, new_token, token_from_json
from api_shim.commands.database import open_database
from api_shim.commands.options import checked_id
from api_shim.commands.outside import Outside
from worker.accounts.encryption import TokenEncryption
from worker.accounts.mongo.tokens import MongoTokenStore
from worker.accounts.token import RenewedToken
from worker.mongo.server_clock import MongoClock
from worker.settings import StoreSettings, load


@click.command("connect")
@click.argument("account_id", callback=checked_id)
@click.argument("owner", callback=checked_id)
@click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Read the token from stdin, as the JSON that HubSpot's token endpoint returns.",
)
@click.pass_context
def command(ctx: click.Context, /, *, account_id: str, owner: str, from_stdin: bool) -> None:
    """Store the OAuth token of ACCOUNT_ID and OWNER, the account_id and uid of their JWT.

    Prompts for the refresh token and the access token, without echo. Other fields of an existing document stay
    unchanged. Reads MONGODB_URI, MONGODB_DATABASE and TOKEN_ENCRYPTION_KEYS.
    """
    settings = load(StoreSettings)
    with open_database(settings) as database:
        token = _read_token(ctx.ensure_object(Outside), MongoClock(database), from_stdin=from_stdin)
        tokens = MongoTokenStore(database, TokenEncryption(settings.token_encryption_keys))
        is_new = tokens.connect(account_id, owner, token)
    click.echo(f"Token of account {account_id} and owner {owner} {'stored' if is_new else 'replaced'}")


def _read_token(outside: Outside, clock: Clock, *, from_stdin: bool) -> RenewedToken:
    if from_stdin:
        return token_from_json(sys.stdin.buffer.read(), clock=clock)
    if not outside.is_interactive():
        raise click.UsageError("Nobody is there to ask for the token: pipe it in with --stdin")
    refresh_token: str = click.prompt("Refresh token", hide_input=True, err=True)
    access_token: str = click.prompt(
        "Access token (may be empty)", hide_input=True, err=True, default="", show_default=False
    )
    return new_token(
        refresh_token=refresh_token.strip(), access_token=access_token.strip(), expires_in_s=None, clock=clock
    )
