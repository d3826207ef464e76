"""`hubspot-export jobs`: list the account's jobs, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from api_shim.commands.answers import JobState, read_listed
from api_shim.commands.api import ExportApi, patiently
from api_shim.commands.options import with_api
from api_shim.commands.output import open_output
from worker.jobs.status import JOB_TYPES, JobStatus

_DEFAULT_LIMIT = 10
_JOBS_A_CALL = 100


@click.command("jobs")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([each.value for each in JobStatus]),
    help="Only jobs that stand so; may be repeated.",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice(JOB_TYPES),
    help="Only jobs of this type; may be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"Most jobs.  [default: {_DEFAULT_LIMIT}]")
@click.option("--all", "everything", is_flag=True, help="All jobs there are.")
@with_api
def command(
    api: ExportApi, /, *, statuses: tuple[str, ...], types: tuple[str, ...], limit: int | None, everything: bool
) -> None:
    """List the account's jobs, newest first: a table on a terminal, otherwise one JSON object a line."""
    if everything and limit is not None:
        raise click.UsageError("--all takes no --limit")
    most = None if everything else limit or _DEFAULT_LIMIT
    jobs = islice(_jobs(api, most=most, status=statuses, type=types), most)
    console = Console()
    if console.is_terminal:
        console.print(_table(map(read_listed, jobs)))
        return
    with open_output(None) as out:
        out.writelines(job + b"\n" for job in jobs)


def _jobs(api: ExportApi, *, most: int | None, **wanted: tuple[str, ...]) -> Iterator[bytes]:
    limit, cursor = min(most or _JOBS_A_CALL, _JOBS_A_CALL), None
    while True:
        page = patiently(partial(api.jobs, limit=limit, cursor=cursor, **wanted), pause=api.outside.pause)
        yield from page.lines
        cursor = page.cursor
        if cursor is None:
            return


def _table(jobs: Iterable[JobState]) -> Table:
    records = Column("records", justify="right")
    table = Table(Column("job", no_wrap=True), "type", "status", records, "created (UTC)", "label", box=None)
    for job in jobs:
        created = (job.created_at or "")[:16].replace("T", " ")
        words = (job.job_id, job.type, job.status, f"{job.progress.records:,}", created, job.label or "")
        table.add_row(*map(Text, words))
    return table
