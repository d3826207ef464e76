"""`hubspot-export export`: start an export, wait for its records, or show what it would do."""

from __future__ import annotations

from pathlib import Path

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.downloading import write_download
from api_shim.commands.following import outlived_by, require_success, wait_for_end
from api_shim.commands.options import checked_type, out_option, webhook_option, with_api
from api_shim.commands.output import open_output, write_answer
from worker.records.types import ExportType

Params = dict[str, str | list[str]]


def _params(_ctx: click.Context, _option: click.Parameter, pairs: tuple[str, ...]) -> Params:
    """Read NAME=VALUE pairs; the values of a repeated name become a list."""
    params: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        params.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in params.items()}


@click.command("export")
@click.argument("export_type", metavar="TYPE", callback=checked_type)
@click.option("--wait", is_flag=True, help="Wait for the end and write the records to stdout, one JSON object a line.")
@out_option("Write the records to FILE instead; it appears when it is complete (mode 0600). Implies --wait.")
@click.option("--limit", type=click.IntRange(min=1), help="The maximum number of records.  [default: all]")
@click.option("--page-size", type=click.IntRange(min=1), help="Records per call.  [default: the type's maximum]")
@click.option("--offset", type=click.IntRange(min=0), help="Where to start, as HubSpot returned it.")
@click.option(
    "--param", "params", multiple=True, callback=_params, metavar="NAME=VALUE", help="For HubSpot; may be repeated."
)
@click.option("--property", "properties", multiple=True, metavar="NAME", help="A property to ask for; may be repeated.")
@click.option(
    "--all-properties", is_flag=True, help="Ask for all properties but sensitive ones, which are to be named."
)
@click.option(
    "--association", "associations", multiple=True, metavar="TYPE", help="Ids of associated records; may be repeated."
)
@click.option(
    "--history", multiple=True, metavar="NAME", help="A property to ask for with all its values; may be repeated."
)
@click.option("--archived", is_flag=True, help="What was deleted within 90 days, instead of what is there.")
@click.option(
    "--api",
    "api_name",
    type=click.Choice(["legacy", "dated"]),
    help="HubSpot's API to read.  [default: as the worker is set]",
)
@click.option("--label", help="Your own name for the job.")
@click.option("--dry-run", is_flag=True, help="Start nothing; show the plan as the API describes it.")
@webhook_option
@with_api
def command(  # noqa: PLR0913 - a command takes what a command line can say, each by name
    api: ExportApi,
    /,
    *,
    export_type: str,
    wait: bool,
    out: Path | None,
    limit: int | None,
    page_size: int | None,
    offset: int | None,
    params: Params,
    properties: tuple[str, ...],
    all_properties: bool,
    associations: tuple[str, ...],
    history: tuple[str, ...],
    archived: bool,
    api_name: str | None,
    label: str | None,
    dry_run: bool,
    webhook: dict[str, str] | None,
) -> None:
    """Export all records of TYPE: contacts, companies, deals, notes, or another one that the API has.

    Without --wait the job's id is printed, and the export continues by itself.
    """
    wanted = {
        "limit": limit,
        "page_size": page_size,
        "offset": offset,
        "params": params or None,
        "properties": [*(["*"] if all_properties else []), *properties] or None,
        "associations": list(associations) or None,
        "history": list(history) or None,
        "archived": archived or None,
        "api": api_name,
        "label": label,
        "webhook": webhook,
    }
    body: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    if dry_run:
        if wait or out is not None:
            raise click.UsageError("--dry-run takes neither --wait nor --out: there will be no records")
        write_answer(api.plan(ExportType(export_type), body))
    elif wait or out is not None:
        _run_to_end(api, ExportType(export_type), body, out)
    else:
        click.echo(api.start(ExportType(export_type), body).job_id)


def _run_to_end(api: ExportApi, export_type: ExportType, body: dict[str, object], path: Path | None) -> None:
    with open_output(path) as out:
        started = api.start(export_type, body)
        with outlived_by(started.job_id):
            click.echo(f"job {started.job_id}", err=True)
            ended = wait_for_end(api, started.job_id)
        require_success(ended)
        written = write_download(api, ended.job_id, out)
    click.echo(f"{written:,} {export_type} written to {path or 'stdout'}", err=True)
