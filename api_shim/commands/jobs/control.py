"""`hubspot-export cancel`, `retry` and `delete`: control a job."""

from __future__ import annotations

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.following import require_success, wait_for_end
from api_shim.commands.options import wait_option, with_api
from api_shim.commands.output import write_answer


@click.command("cancel")
@click.argument("job_id", metavar="ID")
@with_api
def cancel(api: ExportApi, /, *, job_id: str) -> None:
    """Stop a job at its next page, and show it: cancelled, or still running.

    What it has exported stays readable; `retry` resumes it from there.
    """
    write_answer(api.cancel(job_id))


@click.command("retry")
@click.argument("job_id", metavar="ID")
@wait_option
@with_api
def retry(api: ExportApi, /, *, job_id: str, longest_s: int | None) -> None:
    """Resume a failed or cancelled job from its last stored page, and show it as the API describes it."""
    answer = api.retry(job_id)
    if longest_s is None:
        write_answer(answer)
        return
    ended = wait_for_end(api, job_id, longest_s=longest_s)
    write_answer(api.job_body(job_id))
    require_success(ended)


@click.command("delete")
@click.argument("job_id", metavar="ID")
@with_api
def delete(api: ExportApi, /, *, job_id: str) -> None:
    """Remove a job and its results for good. A running job has to be cancelled first."""
    api.delete(job_id)
    click.echo(f"Job {job_id} and its results are gone")
