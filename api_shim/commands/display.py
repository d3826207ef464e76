"""Shows a job's progress on stderr: live on a terminal, otherwise one line for each change."""

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
    """Shows states of a job; `interval_s` is the longest time between two of them."""

    interval_s: int

    def show(self, job: JobState) -> None: ...


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
    """Open a live display if stderr is a terminal, otherwise a plain one."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainDisplay()
        return
    with console.status("") as status:
        yield _LiveDisplay(status)


def describe(job: JobState) -> str:
    """Return a job's progress in one line."""
    progress = job.progress
    rate = f", {progress.records_per_second:,.0f} a second" if progress.records_per_second else ""
    waiting = f" until {job.resume_at} ({job.reason})" if job.resume_at else ""
    amount = f"{_count(progress.records, 'record')} in {_count(progress.pages, 'page')}"
    return f"{job.type} {job.status}{waiting}: {amount}{rate}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
