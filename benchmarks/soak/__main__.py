"""A soak test with chaos: everything that can fail fails for minutes; then every record must exist exactly once.

    python -m benchmarks.soak [--accounts 200] [--exports 400] [--workers 2] [--seconds 300] [--seed 1]
        [--members 3] [--broker rabbitmq] [--flood 150] [--shifted-clocks]

Workers, the broker and MongoDB are killed (SIGKILL), they and the shim are suspended for a while (SIGSTOP), Redis is
emptied, the primary of three members steps down, and a share of HubSpot's answers is faulty, while clients export
accounts and read single pages. Exit status: 0 nothing is wrong, 1 complaints are listed, 2 cannot run on this machine,
130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks.soak.conditions import Conditions
from benchmarks.soak.plan import Size
from benchmarks.soak.report import print_outcome
from benchmarks.soak.run import soak
from sandbox.commands.interruptions import Interruptions, StopRequestedError
from sandbox.processes import ProcessFailedError
from sandbox.servers.binaries import UnusableBinaryError
from sandbox.shifted_clock import NoShiftedClockError

_FAILED = 1
_UNUSABLE = 2


class _RateType(click.ParamType[tuple[int, int]]):
    """Calls per seconds, in the format of HUBSPOT_RATE_LIMIT."""

    name = "calls/seconds"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        calls, _, seconds = value.partition("/")
        if not (calls.isdecimal() and seconds.isdecimal() and int(calls) and int(seconds)):
            self.fail("must be calls/seconds, such as 20/2", param, ctx)
        return int(calls), int(seconds)


@click.command()
@click.option("--accounts", default=200, show_default=True, type=click.IntRange(1, 5000), help="Connected accounts.")
@click.option("--exports", default=400, show_default=True, type=click.IntRange(1, 20_000), help="Exports in total.")
@click.option("--pages", default=50, show_default=True, type=click.IntRange(1), help="Pages of an export, on average.")
@click.option("--reads", default=1.0, show_default=True, type=click.FloatRange(0.01), help="Synchronous GETs a second.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Worker processes.")
@click.option(
    "--members",
    "--mongo-members",
    "mongo_members",
    default="1",
    show_default=True,
    type=click.Choice(["1", "3"]),
    help="Of MongoDB; the primary of three steps down repeatedly.",
)
@click.option("--broker", default="redis", show_default=True, type=click.Choice(["redis", "rabbitmq"]))
@click.option(
    "--flood", default=0, show_default=True, type=click.IntRange(0, 1000), help="Exports of one account at once."
)
@click.option("--shifted-clocks", is_flag=True, help="The product's clocks are an hour ahead or behind.")
@click.option("--seconds", default=300.0, show_default=True, type=click.FloatRange(30), help="How long faults occur.")
@click.option("--grace", default=120.0, show_default=True, help="Seconds after the faults in which all jobs must end.")
@click.option("--kill-every", default=10.0, show_default=True, type=click.FloatRange(1), help="Seconds.")
@click.option("--faulty", default=0.05, show_default=True, type=click.FloatRange(0, 0.5), help="Share of the answers.")
@click.option("--rate-limit", default="20/2", show_default=True, type=_RateType(), help="Of every account.")
@click.option("--seed", default=1, show_default=True, help="Of the requests, the chaos plan and HubSpot's faults.")
@click.option("--logs", type=click.Path(path_type=Path, file_okay=False), help="Folder to copy the logs to.")
def main(  # noqa: PLR0913 - each is an option
    *,
    accounts: int,
    exports: int,
    pages: int,
    reads: float,
    workers: int,
    mongo_members: str,
    broker: str,
    flood: int,
    shifted_clocks: bool,
    seconds: float,
    grace: float,
    kill_every: float,
    faulty: float,
    rate_limit: tuple[int, int],
    seed: int,
    logs: Path | None,
) -> None:
    """Let everything fail, and verify that nothing is lost."""
    size = Size(
        accounts=accounts,
        exports=exports,
        pages=pages,
        seconds=seconds,
        reads_per_s=reads,
        seed=seed,
        flood=flood,
    )
    conditions = Conditions(
        workers=workers,
        mongo_members=int(mongo_members),
        broker=broker,
        shifted_clocks=shifted_clocks,
        kill_every_s=kill_every,
        faulty=faulty,
        calls=rate_limit[0],
        interval_s=rate_limit[1],
        grace_s=grace,
        logs=logs,
    )
    with Interruptions() as interruptions:
        status = _run(size, conditions, interruptions)
    sys.exit(interruptions.exit_status or status)


def _run(size: Size, conditions: Conditions, interruptions: Interruptions) -> int:
    console = Console()
    try:
        outcome = soak(size, conditions, interruptions=interruptions, console=console)
    except StopRequestedError:
        sys.stderr.write("\nStopped.\n")
        return _FAILED
    except (UnusableBinaryError, NoShiftedClockError) as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    except ProcessFailedError as error:
        sys.stderr.write(f"{error}. The last lines of its log:\n{error.log_tail}\n")
        return _FAILED
    print_outcome(outcome, console=console)
    return _FAILED if outcome.complaints else 0


if __name__ == "__main__":
    main()
