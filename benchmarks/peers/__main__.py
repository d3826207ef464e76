"""The same contacts, fetched by this product, its floor, a bare loop, HubSpot's SDK, dlt and the Singer tap.

    python -m benchmarks.peers [--records 20000] [--latency 0 --latency 0.05] [--rounds 3] [--floor-only]
        [--limit 100000/10] [--plot FILE]

All read the same account of the same fake HubSpot on this machine, 100 contacts with some 30 properties a page. The
work is not equal: the SDK keeps everything in memory and writes nothing; the bare loop and dlt write files; the tap
writes messages; this product's worker stores every page and its cursor durably in MongoDB, and writes a receipt. Its
figures are those of the worker process, those of the others cover their program from start to end. The floor is the
baseline: what remains of the worker without everything but durability, a loop of urllib3, orjson and zstd with two
acknowledged writes per page to the same MongoDB, measured without its start-up.

HUBSPOT_RATE_LIMIT is 0 by default. `--limit` with a limit too high to make anyone wait, such as 100000/10, adds the
cost of rate limiting to the worker's figure.

The other programs are installed into `.bench/` by the first run.
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

from benchmarks.measuring import Cost, ProgramFailedError
from benchmarks.peers.contestants import ACCOUNT, FLOOR, OURS, Contestant, contestants
from benchmarks.peers.environments import NotInstalledError, python_with
from benchmarks.stacks import ExportFailedError, running_stack
from benchmarks.tables import figures_table
from sandbox.seeding import seed
from sandbox.stack import StackOptions

_PAGE = 100
_WIDTH = 120
_PLOT = Path(__file__).parent / "programs" / "plot.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The median cost of a contestant's runs."""

    name: str
    cost: Cost


@click.command()
@click.option("--records", default=20_000, show_default=True, type=click.IntRange(_PAGE))
@click.option("--latency", "latencies", default=(0.0, 0.05), show_default=True, multiple=True, help="Seconds a call.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 20), help="Runs of each; the median.")
@click.option("--floor-only", is_flag=True, help="Skip other programs.")
@click.option("--limit", default="0", show_default=True, help="The worker's HUBSPOT_RATE_LIMIT.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG file for the last latency's CPU.")
def main(  # noqa: PLR0913 - options
    *, records: int, latencies: tuple[float, ...], rounds: int, floor_only: bool, limit: str, plot: Path | None
) -> None:
    """Measure and print."""
    console = Console(width=max(Console().width, _WIDTH))
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": limit})
    with running_stack(options) as stack:
        rows, title = list[Row](), ""
        for latency_s in latencies:
            seed(stack, ACCOUNT, records={"contacts": records}, rich=True, rate_limit=0, latency_s=latency_s)
            everyone = partial(contestants, stack, records=records, has_others=not floor_only)
            rows = _measure(everyone, console, rounds=rounds)
            title = f"{records:,} contacts, HubSpot answers in {latency_s * 1000:g} ms, median of {rounds}"
            console.print(_table(rows, title, records=records, floor_s=latency_s * -(-records // _PAGE)))
        if plot is not None:
            _draw(rows, title, records=records, source=stack.folder / "costs.json", target=plot)


def _measure(everyone: Callable[[], Iterator[Contestant | str]], console: Console, *, rounds: int) -> list[Row]:
    """Run the contestants in turn, so that a temporary slowdown of the machine affects all of them."""
    costs: dict[str, list[Cost]] = {}
    for number in range(rounds):
        for each in everyone():
            if isinstance(each, Contestant):
                costs.setdefault(each.name, []).extend(_costs(each, console))
            elif number == 0:
                console.print(each, highlight=False)
    return [Row(name=name, cost=_median(found)) for name, found in costs.items() if found]


def _costs(contestant: Contestant, console: Console) -> list[Cost]:
    try:
        return [contestant.run()]
    except (ProgramFailedError, ExportFailedError) as error:
        console.print(f"{contestant.name} failed: {error}", highlight=False)
        return []


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        wall_s=median(cost.wall_s for cost in costs),
        cpu_s=median(cost.cpu_s for cost in costs),
        peak_mb=median(cost.peak_mb for cost in costs),
    )


def _table(rows: Sequence[Row], title: str, *, records: int, floor_s: float) -> Table:
    headings = ("records/s", "wall / calls x latency", "CPU µs/record", "CPU / ours", "CPU / floor", "peak MB")
    table = figures_table(title, "", *headings)
    table.columns[0].no_wrap = True
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
