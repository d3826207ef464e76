"""`hubspot-export jobs` and `job`: list the account's jobs, or show one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from api_shim.commands.answers import JobState, read_listed
from api_shim.commands.api import ExportApi, with_retries
from api_shim.commands.following import require_success, wait_for_end
from api_shim.commands.options import wait_option, with_api
from api_shim.commands.output import open_output, write_answer
from worker.jobs.status import JobStatus

_DEFAULT_LIMIT = 10
_JOBS_A_CALL = 100


@click.command("jobs")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([each.value for each in JobStatus]),
    help="Only jobs in this state; may be repeated.",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Only jobs of this type; may be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"The maximum number of jobs.  [default: {_DEFAULT_LIMIT}]")
@click.option("--all", "everything", is_flag=True, help="All jobs.")
@with_api
def jobs(
    api: ExportApi, /, *, statuses: tuple[str, ...], types: tuple[str, ...], limit: int | None, everything: bool
) -> None:
    """List the account's jobs, newest first: a table on a terminal, otherwise one JSON object a line."""
    if everything and limit is not None:
        raise click.UsageError("--all takes no --limit")
    most = None if everything else limit or _DEFAULT_LIMIT
    found = islice(_jobs(api, most=most, status=statuses, type=types), most)
    console = Console()
    if console.is_terminal:
        console.print(_table(map(read_listed, found)))
        return
    with open_output(None) as out:
        out.writelines(line + b"\n" for line in found)


@click.command("job")
@click.argument("job_id", metavar="ID")
@wait_option
@with_api
def job(api: ExportApi, /, *, job_id: str, longest_s: int | None) -> None:
    """Show a job as the API describes it."""
    ended = wait_for_end(api, job_id, longest_s=longest_s) if longest_s is not None else None
    write_answer(api.job_body(job_id))
    if ended is not None:
        require_success(ended)


def _jobs(api: ExportApi, *, most: int | None, **wanted: tuple[str, ...]) -> Iterator[bytes]:
    limit, cursor = min(most or _JOBS_A_CALL, _JOBS_A_CALL), None
    while True:
        page = with_retries(partial(api.jobs, limit=limit, cursor=cursor, **wanted), pause=api.outside.pause)
        yield from page.lines
        cursor = page.cursor
        if cursor is None:
            return


def _table(listed: Iterable[JobState]) -> Table:
    records = Column("records", justify="right")
    table = Table(Column("job", no_wrap=True), "type", "status", records, "created (UTC)", "label", box=None)
    for each in listed:
        created = (each.created_at or "")[:16].replace("T", " ")
        words = (each.job_id, each.type, each.status, f"{each.progress.records:,}", created, each.label or "")
        table.add_row(*map(Text, words))
    return table
