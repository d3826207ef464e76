"""`hubspot-export sync`: sync the account now."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.following import outlived_by, require_success, wait_for_end
from api_shim.commands.options import mode_option, properties_option, types_option, webhook_option, with_api
from api_shim.commands.output import write_answer


@click.command("sync")
@types_option
@properties_option
@mode_option
@click.option(
    "--confirm-deletions",
    is_flag=True,
    help="Mark all records as deleted that HubSpot's lists lack, however many.",
)
@click.option("--wait", is_flag=True, help="Wait for the end and show the job; exit status 1 unless it succeeds.")
@click.option("--label", help="Your own name for the job.")
@click.option("--dry-run", is_flag=True, help="Start nothing; show the plan as the API describes it.")
@webhook_option
@with_api
def command(  # noqa: PLR0913 - a command takes what a command line can say, each by name
    api: ExportApi,
    /,
    *,
    types: list[str] | None,
    properties: dict[str, list[str]] | None,
    mode: str | None,
    confirm_deletions: bool,
    wait: bool,
    label: str | None,
    dry_run: bool,
    webhook: dict[str, str] | None,
) -> None:
    """Export all records of contacts, companies, deals and notes, or of the types named, in parallel.

    Without --wait the job's id is printed, and the sync continues by itself. Its children are the exports.
    """
    wanted = {
        "types": types,
        "properties": properties,
        "mode": mode,
        "confirm_deletions": confirm_deletions or None,
        "label": label,
        "webhook": webhook,
    }
    body: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    if dry_run and wait:
        raise click.UsageError("--dry-run takes no --wait: there will be no job")
    if dry_run:
        write_answer(api.plan_sync(body))
    elif wait:
        _run_to_end(api, body)
    else:
        click.echo(api.start_sync(body).job_id)


def _run_to_end(api: ExportApi, body: dict[str, object]) -> None:
    started = api.start_sync(body)
    with outlived_by(started.job_id):
        click.echo(f"job {started.job_id}", err=True)
        ended = wait_for_end(api, started.job_id)
    write_answer(api.job_body(started.job_id))
    require_success(ended)
