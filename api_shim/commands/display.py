"""Shows how a job gets on, on stderr: live on a terminal, otherwise a line whenever there is news."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.status import Status
from rich.text import Text

from api_shim.commands.answers import JobState


class Display(Protocol):
    """Shows states of a job; `interval_s` is how long it may go without a new one."""

    interval_s: int

    def show(self, job: JobState) -> None:
        """Show the latest state."""


class _LiveDisplay:
    interval_s = 1

    def __init__(self, status: Status) -> None:
        self._status = status

    def show(self, job: JobState) -> None:
        self._status.update(Text(describe(job)))


class _PlainDisplay:
    interval_s = 10

    def __init__(self) -> None:
        self._shown = ""

    def show(self, job: JobState) -> None:
        line = describe(job)
        if line != self._shown:
            click.echo(line, err=True)
        self._shown = line


@contextmanager
def open_display() -> Iterator[Display]:
    """Give the display that fits where stderr goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainDisplay()
        return
    with console.status("") as status:
        yield _LiveDisplay(status)


def describe(job: JobState) -> str:
    """Say in one line how far a job is."""
    progress = job.progress
    rate = f", {progress.records_per_second:,.0f} a second" if progress.records_per_second else ""
    waiting = f" until {job.resume_at} ({job.reason})" if job.resume_at else ""
    amount = f"{_count(progress.records, 'record')} in {_count(progress.pages, 'page')}"
    return f"{job.type} {job.status}{waiting}: {amount}{rate}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
