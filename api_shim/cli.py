"""`hubspot-export`: the command line client, which imports a command's module only to run it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Never

import click

_COMMANDS = {
    "cancel": "api_shim.commands.jobs.control:cancel",
    "connect": "api_shim.commands.accounts.connect:command",
    "connection": "api_shim.commands.accounts.connection:connection",
    "delete": "api_shim.commands.jobs.control:delete",
    "disconnect": "api_shim.commands.accounts.connection:disconnect",
    "doctor": "api_shim.commands.operations.doctor:command",
    "download": "api_shim.commands.jobs.results:download",
    "export": "api_shim.commands.jobs.export:command",
    "job": "api_shim.commands.jobs.jobs:job",
    "jobs": "api_shim.commands.jobs.jobs:jobs",
    "owners": "api_shim.commands.accounts.definitions:owners",
    "pipelines": "api_shim.commands.accounts.definitions:pipelines",
    "properties": "api_shim.commands.accounts.definitions:properties",
    "records": "api_shim.commands.accounts.records:command",
    "results": "api_shim.commands.jobs.results:results",
    "retry": "api_shim.commands.jobs.control:retry",
    "schedule": "api_shim.commands.accounts.schedule:command",
    "sync": "api_shim.commands.jobs.sync:command",
    "token-endpoint": "api_shim.commands.operations.token_endpoint:command",
    "types": "api_shim.commands.accounts.definitions:types",
    "unblock": "api_shim.commands.operations.unblock:command",
    "webhook-secret": "api_shim.commands.operations.webhook_secret:command",
}
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class _CommandLine(click.Group):
    """Imports only the command that runs: most need neither Celery nor MongoDB's driver, which take a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; Ctrl-C ends it with the exit status that shells use for it, and no traceback."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as interruption:
            _end_interrupted(str(interruption))


def _end_interrupted(remark: str) -> Never:
    click.echo(f"Interrupted; {remark}" if remark else "Interrupted", err=True)
    raise click.exceptions.Exit(_INTERRUPTED) from None


@click.group(cls=_CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hubspot-export")
def main() -> None:
    """Export HubSpot's contacts, companies, deals and notes, and look after the exporter.

    Exit status: 0 all is well; 1 something failed, one line on stderr says what; 2 wrong usage or settings;
    130 interrupted.
    """


if __name__ == "__main__":
    main(prog_name="hubspot-export")
