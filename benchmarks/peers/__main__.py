"""The same contacts fetched by this product, its floor, a bare loop, HubSpot's SDK, dlt and the Singer tap, in one run.

    python -m benchmarks.peers [--records 20000] [--latency 0 --latency 0.05] [--rounds 3] [--floor-only]
        [--limit 100000/10] [--plot FILE]

Everyone asks the same HubSpot stand-in on this machine for the same account, 100 contacts of some 30 properties a page.
The work is not equal: the SDK keeps everything in memory and writes nothing; the bare loop and dlt write files; the tap
writes messages; this product's worker stores every page in MongoDB, durably, with its place noted, and draws up a
receipt. Its figures are those of the worker process, the others' those of their program from its start to its end.
The floor is what remains of the worker when all but durability is left out: a loop of urllib3, orjson and zstd with
two acknowledged writes a page to the same MongoDB, measured without its start. It is what this product is compared to.

HUBSPOT_RATE_LIMIT is 0 unless `--limit` says otherwise: with a limit so high that nobody waits, such as 100000/10, the
worker's figure includes what it costs to keep to one.

What is not part of the product is installed into `.bench/` the first time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from benchmarks.peers.contestants import ACCOUNT, FLOOR, OURS, Contestant, ExportFailedError, contestants
from benchmarks.peers.environments import NotInstalledError, python_with
from benchmarks.peers.measuring import Cost, ProgramFailedError
from sandbox.seeding import seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

_PAGE = 100
_WIDTH = 120
_PLOT = Path(__file__).parent / "programs" / "plot.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a contestant's runs cost in the middle."""

    name: str
    cost: Cost


@click.command()
@click.option("--records", default=20_000, show_default=True, type=click.IntRange(_PAGE))
@click.option("--latency", "latencies", default=(0.0, 0.05), show_default=True, multiple=True, help="Seconds a call.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 20), help="Runs of each; the median.")
@click.option("--floor-only", is_flag=True, help="Leave out what others offer.")
@click.option("--limit", default="0", show_default=True, help="The worker's HUBSPOT_RATE_LIMIT.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG to draw the last latency's CPU in.")
def main(  # noqa: PLR0913 - options
    *, records: int, latencies: tuple[float, ...], rounds: int, floor_only: bool, limit: str, plot: Path | None
) -> None:
    """Measure and print."""
    console = Console(width=max(Console().width, _WIDTH))
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": limit})
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        rows, title = list[Row](), ""
        for latency_s in latencies:
            seed(stack, ACCOUNT, records={"contacts": records}, rich=True, rate_limit=0, latency_s=latency_s)
            everyone = partial(contestants, stack, folder, records=records, has_others=not floor_only)
            rows = _measure(everyone, console, rounds=rounds)
            title = f"{records:,} contacts, HubSpot answers in {latency_s * 1000:g} ms, median of {rounds}"
            console.print(_table(rows, title, records=records, floor_s=latency_s * -(-records // _PAGE)))
        if plot is not None:
            _draw(rows, title, records=records, source=folder / "costs.json", target=plot)


def _measure(everyone: Callable[[], Iterator[Contestant | str]], console: Console, *, rounds: int) -> list[Row]:
    """Let everyone run in turn, so that a machine that is slow for a while is slow for all."""
    costs: dict[str, list[Cost]] = {}
    for number in range(rounds):
        for each in everyone():
            if isinstance(each, Contestant):
                costs.setdefault(each.name, []).extend(_costs(each, console))
            elif number == 0:
                console.print(each, highlight=False)
    return [Row(name=name, cost=_middle(found)) for name, found in costs.items() if found]


def _costs(contestant: Contestant, console: Console) -> list[Cost]:
    try:
        return [contestant.run()]
    except (ProgramFailedError, ExportFailedError) as error:
        console.print(f"{contestant.name} failed: {error}", highlight=False)
        return []


def _middle(costs: Sequence[Cost]) -> Cost:
    return Cost(
        wall_s=median(cost.wall_s for cost in costs),
        cpu_s=median(cost.cpu_s for cost in costs),
        peak_mb=median(cost.peak_mb for cost in costs),
    )


def _table(rows: Sequence[Row], title: str, *, records: int, floor_s: float) -> Table:
    """Say what each cost, and as how many times of what others cost."""
    table = Table(title=title)
    for heading in ("", "records/s", "wall / calls x latency", "CPU µs/record", "CPU / ours", "CPU / floor", "peak MB"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    ours, floor = (next((row.cost for row in rows if row.name == name), None) for name in (OURS, FLOOR))
    for row in rows:
        cost = row.cost
        table.add_row(
            row.name,
            f"{records / cost.wall_s:,.0f}",
            f"{cost.wall_s / floor_s:.3f}" if floor_s else "-",
            f"{_us(cost, records):,.1f}",
            f"{cost.cpu_s / ours.cpu_s:.2f}" if ours is not None else "-",
            f"{cost.cpu_s / floor.cpu_s:.2f}" if floor is not None else "-",
            f"{cost.peak_mb:,.0f}",
        )
    return table


def _us(cost: Cost, records: int) -> float:
    return cost.cpu_s / records * 1e6


def _draw(rows: Sequence[Row], title: str, *, records: int, source: Path, target: Path) -> None:
    drawn = [{"name": row.name, "cpu_us": _us(row.cost, records), "is_ours": row.name == OURS} for row in rows]
    source.write_text(json.dumps({"title": title, "rows": drawn}))
    try:
        python = python_with("plot", "matplotlib==3.10.8")
    except NotInstalledError as error:
        sys.stderr.write(f"No plot: matplotlib does not install: {error}\n")
        return
    subprocess.run([str(python), str(_PLOT), str(source), str(target)], check=True)


if __name__ == "__main__":
    main()
