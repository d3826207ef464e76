"""`hubspot-export schedule`: show, set and remove the account's scheduled sync."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import mode_option, properties_option, types_option, webhook_option, with_api
from api_shim.commands.output import write_answer


@click.group("schedule")
def command() -> None:
    """Show, set and remove the account's scheduled sync."""


@command.command("show")
@with_api
def show(api: ExportApi, /) -> None:
    """Show the schedule as the API describes it."""
    write_answer(api.schedule())


@command.command("set")
@click.argument("cron")
@click.option("--timezone", default="UTC", show_default=True, metavar="NAME", help="The time zone of CRON.")
@types_option
@properties_option
@mode_option
@click.option(
    "--full-every",
    metavar="INTERVAL",
    help="With the mode incremental: read all records where no sync has for so long, as 12h, 7d or 2w.",
)
@click.option(
    "--overlap",
    type=click.Choice(["skip", "queue"]),
    help="What to do with a run while the previous sync is still running.  [default: skip]",
)
@webhook_option
@click.option("--off", is_flag=True, help="Store the schedule, but start nothing.")
@with_api
def set_schedule(  # noqa: PLR0913 - a command takes what a command line can say, each by name
    api: ExportApi,
    /,
    *,
    cron: str,
    timezone: str,
    types: list[str] | None,
    properties: dict[str, list[str]] | None,
    mode: str | None,
    full_every: str | None,
    overlap: str | None,
    webhook: dict[str, str] | None,
    off: bool,
) -> None:
    """Sync the account at CRON: minute, hour, day of month, month, day of week; and show the schedule.

    It replaces the previous schedule.
    """
    wanted = {
        "cron": cron,
        "timezone": timezone,
        "types": types,
        "properties": properties,
        "mode": mode,
        "full_every": full_every,
        "overlap": overlap,
        "webhook": webhook,
    }
    body: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    write_answer(api.set_schedule({**body, "enabled": not off}))


@command.command("remove")
@with_api
def remove(api: ExportApi, /) -> None:
    """Remove the schedule. A sync that it has started continues."""
    api.remove_schedule()
