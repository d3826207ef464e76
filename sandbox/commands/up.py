"""`python -m sandbox up`: the whole product for manual use, until Ctrl-C."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from sandbox.commands.demo_setup import ACCOUNT, running_demo_stack
from sandbox.commands.interruptions import Interruptions
from sandbox.seeding import mint_jwt
from sandbox.stack import Stack

_JWT_LIFE = timedelta(hours=24)
_CHECK_S = 0.3


def run(interruptions: Interruptions, *, console: Console) -> None:
    """Start the stack with one connected account, print how to use it, and watch its processes.

    Never returns: it raises as `running_demo_stack` does, normally StopRequestedError.
    """
    with running_demo_stack(interruptions, console=console) as stack:
        token = mint_jwt(stack, ACCOUNT, life=_JWT_LIFE)
        header = _write_header(stack.folder, token=token)
        client = {"HUBSPOT_EXPORT_URL": stack.shim_url, "HUBSPOT_EXPORT_TOKEN": token}
        settings = write_settings(stack.folder, {**stack.settings, **client})
        instructions = _instructions(stack, token=token, header=header, settings=settings)
        console.print(instructions, soft_wrap=True, markup=False, highlight=False)
        while True:
            interruptions.pause(_CHECK_S)
            stack.check()


def write_settings(folder: Path, settings: Mapping[str, str]) -> Path:
    """Write a file that a shell can source, so that `hubspot-export` uses this stack."""
    file = folder / "settings.sh"
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))
    return file


def _write_header(folder: Path, *, token: str) -> Path:
    """Write the JWT to a file that curl reads: the commands to paste stay short, and `ps` does not show it."""
    file = folder / "authorization"
    file.touch(mode=0o600)
    file.write_text(f"Authorization: Bearer {token}\n")
    return file


def _instructions(stack: Stack, *, token: str, header: Path, settings: Path) -> str:
    api = f"{stack.shim_url}/v1/integrations/hubspot"
    curl = f"curl -sS -H @{header}"
    return f"""
HTTP API    {api}
Docs        {stack.shim_url}/docs
HubSpot     {stack.hubspot_url}  (account {ACCOUNT.hub_id})
MongoDB     {stack.mongo.uri}
Redis       {stack.redis.url}
Logs        {stack.logs}
JWT         {token}
            (account {ACCOUNT.account_id}, user {ACCOUNT.owner}, valid for 24 hours)

One page of contacts; then an export of all contacts, and its first results once it has ended:

{curl} '{api}/export/contacts?limit=3'
JOB=$({curl} -X POST -D - -o /dev/null '{api}/export/contacts' | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p'); echo $JOB
until {curl} "{stack.shim_url}$JOB" | grep -q '"finished_at":"'; do sleep 1; done
{curl} "{stack.shim_url}$JOB/results?limit=3"

The state of the connection; then connecting again, with curl as the browser (the fake HubSpot consents at once):

{curl} '{api}/connection'
curl -sS -L "$({curl} -o /dev/null -w '%{{redirect_url}}' '{api}/connect')"

The command line, in another shell in this folder:

. {settings}
.venv/bin/hubspot-export doctor
.venv/bin/hubspot-export sync --wait

Ctrl-C stops everything.
"""
