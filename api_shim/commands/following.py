"""Waits for the end of a job."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import click

from api_shim.commands.answers import JobState
from api_shim.commands.api import ExportApi, with_retries
from api_shim.commands.display import open_display


@contextmanager
def outlived_by(job_id: str) -> Iterator[None]:
    """Make Ctrl-C report that the job continues without the command, and how to cancel or read it."""
    try:
        yield
    except KeyboardInterrupt:
        ways = f"end it with `hubspot-export cancel {job_id}`, or read it with `hubspot-export results {job_id} --all`"
        raise KeyboardInterrupt(f"the job goes on: {ways}") from None


def wait_for_end(api: ExportApi, job_id: str, *, longest_s: float = math.inf) -> JobState:
    """Return the job when it has ended, or as it is after `longest_s`; show its progress meanwhile."""
    ends_at = time.monotonic() + longest_s
    with outlived_by(job_id), open_display() as display:
        while True:
            remaining_s = max(0.0, ends_at - time.monotonic())
            wait_s = math.ceil(min(remaining_s, display.interval_s))
            job = with_retries(partial(api.job, job_id, wait_s=wait_s), pause=api.outside.pause)
            display.show(job)
            if job.has_ended or remaining_s <= 0:
                return job


def require_success(job: JobState) -> None:
    """Raise ClickException, which exits with status 1, unless the job has succeeded."""
    if job.status == "succeeded":
        return
    reason = f": {job.error.message} ({job.error.code})" if job.error else ""
    ended = f"has {job.status}" if job.status == "failed" else f"is {job.status}"
    raise click.ClickException(" ".join(f"The job {job.job_id} {ended}{reason}".split()))
