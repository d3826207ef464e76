"""The progress of several exports on screen: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sandbox.export_api import JobState

_LINE_EVERY_S = 1.0


class Display(Protocol):
    """Shows progress while entered; `show` records a state, `refresh` draws it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, export_type: str, state: JobState) -> None: ...

    def refresh(self) -> None: ...


def display_for(console: Console, *, totals: Mapping[str, int]) -> Display:
    """Return the display that suits the console. `totals` is the expected number of records by type."""
    return _Bars(console, totals=totals) if console.is_terminal else _Lines(console)


class _Bars:
    def __init__(self, console: Console, *, totals: Mapping[str, int]) -> None:
        self._progress = Progress(
            TextColumn("{task.description:9}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[pages]:>4} pages {task.completed:>7,} records {task.fields[rate]:>7}/s"),
            console=console,
            auto_refresh=False,  # rich would start a thread; the demo refreshes after each poll
        )
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task(name, total=total, pages=0, rate="-") for name, total in totals.items()
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, export_type: str, state: JobState) -> None:
        self._progress.update(
            self._tasks[export_type], completed=state.records, pages=state.pages, rate=rate_text(state)
        )

    def refresh(self) -> None:
        self._progress.refresh()


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, JobState] = {}
        self._shown: dict[str, JobState] = {}
        self._next_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, export_type: str, state: JobState) -> None:
        self._states[export_type] = state

    def refresh(self) -> None:
        is_due = time.monotonic() >= self._next_at
        for name, state in self._states.items():
            before = self._shown.get(name)
            if state != before and (is_due or state.has_ended):
                self._print(name, state)
        if is_due:
            self._next_at = time.monotonic() + _LINE_EVERY_S

    def _print(self, name: str, state: JobState) -> None:
        self._shown[name] = state
        self._console.print(
            f"{name:9} {state.status:9} {state.pages:>4} pages {state.records:>7,} records {rate_text(state):>7}/s"
        )


def rate_text(state: JobState) -> str:
    """Return records per second, or a dash before the first measurement."""
    return f"{state.records_per_second:,.0f}" if state.records_per_second is not None else "-"
