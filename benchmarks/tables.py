"""How benchmarks print: tables of figures, at least as wide as their columns need."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def figures_table(title: str, *headings: str, labels: int = 1) -> Table:
    """Return a table whose first `labels` columns are left-aligned, and all others right-aligned."""
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < labels else "right")
    return table


def show(*tables: Table, width: int = 100) -> None:
    """Print tables on a console of at least `width` columns, also where the output is no terminal."""
    console = Console(width=max(Console().width, width))
    for table in tables:
        console.print(table)
