"""Latency and maximum throughput of submitting jobs, on an embedded stack without workers.

    python -m benchmarks.submission [--rate 300] [--seconds 20] [--rounds 3] [--connections 16]

The shim, MongoDB, Redis and the load generator are separate processes. First an open loop at a fixed rate: each request
is sent when it is due, and timed from then on, regardless of earlier ones. Then a closed loop over a number of
connections, compared with an empty FastAPI route. The table shows the best of several rounds, and the p99 of all of
them, because everything shares one machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urljoin

import click
import requests
from rich.table import Table

from benchmarks.measuring import RunningProcess, percentile
from benchmarks.stacks import ACCOUNT, running_stack
from benchmarks.tables import show
from sandbox.configuration import REPOSITORY, python_environment
from sandbox.processes import Command, Process
from sandbox.seeding import mint_jwt, seed
from sandbox.servers.ports import HOST, ReservedPort, is_open
from sandbox.stack import Stack, StackOptions

_PATH = "/v1/integrations/hubspot/export/contacts"
_ACCEPTED = ("202", "200")
_WARM_UP_S = 2.0
_CLOSED_S = 5.0
_AIM = "target: p99 below 25 ms at 300 a second"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The responses of a load, and the server's CPU time for it."""

    seconds: list[float]
    statuses: dict[str, int]
    cpu_s: float

    @property
    def accepted(self) -> int:
        """The number of accepted requests."""
        return sum(self.statuses.get(status, 0) for status in _ACCEPTED)

    @property
    def cpu_ms(self) -> float:
        """The server's CPU time per request."""
        return self.cpu_s / len(self.seconds) * 1000

    def percentile_ms(self, percent: int) -> float:
        return percentile(self.seconds, percent) * 1000


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server and the JWT that it accepts."""

    url: str
    process: Process
    token: str

    def send(self, *words: str, seconds: float, url: str | None = None) -> Outcome:
        """Run the load generator in a process of its own."""
        arguments = ("--url", url or self.url, "--seconds", str(seconds), *words)
        command = (sys.executable, "-m", "benchmarks.submission.load", *arguments)
        server = RunningProcess(self.process.pid)
        done = subprocess.run(command, input=self.token, stdout=subprocess.PIPE, text=True, check=True, cwd=REPOSITORY)
        return Outcome(**json.loads(done.stdout), cpu_s=server.cost().cpu_s)

    def job_url(self) -> str:
        """Submit a job; return its URL."""
        answer = requests.post(self.url, json={}, headers={"Authorization": f"Bearer {self.token}"}, timeout=_CLOSED_S)
        return urljoin(self.url, answer.headers["Location"])


@click.command()
@click.option("--rate", default=300, show_default=True, type=click.IntRange(1, 5000), help="Jobs a second.")
@click.option("--seconds", default=20.0, show_default=True, help="How long a round takes.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 20))
@click.option("--connections", default=16, show_default=True, type=click.IntRange(1, 500))
def main(rate: int, seconds: float, rounds: int, connections: int) -> None:
    """Measure and print."""
    with _targets() as (shim, bare):
        shim.send("--rate", str(rate), seconds=_WARM_UP_S)
        plain, keyed = (
            [shim.send("--rate", str(rate), *words, seconds=seconds) for _ in range(rounds)]
            for words in ([], ["--keyed"])
        )
        busy = ("--connections", str(connections))
        job = shim.job_url()
        most = [
            (
                bare.send(*busy, seconds=_CLOSED_S),
                shim.send(*busy, seconds=_CLOSED_S),
                shim.send(*busy, "--keyed", seconds=_CLOSED_S),
                shim.send(*busy, "--get", seconds=_CLOSED_S, url=job),
            )
            for _ in range(rounds)
        ]
    latencies = _latencies({"POST /export/contacts": plain, "with an Idempotency-Key": keyed}, rate=rate)
    show(latencies, _throughput(list(zip(*most, strict=True)), connections=connections), width=120)


@contextmanager
def _targets() -> Iterator[tuple[Target, Target]]:
    """Yield the shim, and the empty route."""
    options = StackOptions(workers=0, beats=0, settings={"MAX_OPEN_JOBS_PER_ACCOUNT": "0"})
    with running_stack(options) as stack:
        seed(stack, ACCOUNT, records={"contacts": 1}, rate_limit=0)
        token = mint_jwt(stack, ACCOUNT, life=timedelta(hours=1))
        port = ReservedPort()
        process = _bare_route(stack, port.number)
        try:
            process.start().wait_ready()
            yield (
                Target(url=f"{stack.shim_url}{_PATH}", process=stack.shim, token=token),
                Target(url=f"http://{HOST}:{port.number}{_PATH}", process=process, token=token),
            )
        finally:
            process.stop()


def _bare_route(stack: Stack, port: int) -> Process:
    return Process(
        name="bare",
        command=Command(
            arguments=(sys.executable, "-m", "benchmarks.submission.bare", "--port", str(port)),
            environment=python_environment(),
            folder=REPOSITORY,
        ),
        log=stack.logs / "bare.log",
        ready=lambda _: is_open(port),
    )


def _latencies(rows: dict[str, list[Outcome]], *, rate: int) -> Table:
    columns = ("", "p50 ms", "p90 ms", "p99 ms", "p99 of all rounds", "not accepted", "shim's CPU ms")
    table = Table(*columns, title=f"{rate} a second; {_AIM}")
    for name, outcomes in rows.items():
        best = min(outcomes, key=lambda outcome: outcome.percentile_ms(99))
        shown = (f"{best.percentile_ms(percent):.1f}" for percent in (50, 90, 99))
        rounds = ", ".join(f"{outcome.percentile_ms(99):.1f}" for outcome in outcomes)
        refused = sum(len(outcome.seconds) - outcome.accepted for outcome in outcomes)
        table.add_row(name, *shown, rounds, str(refused), f"{min(outcome.cpu_ms for outcome in outcomes):.2f}")
    return table


def _throughput(all_outcomes: Sequence[Sequence[Outcome]], *, connections: int) -> Table:
    table = Table("", "a second", "of the bare route", "CPU ms", title=f"maximum over {connections} connections")
    names = ("a bare FastAPI route", "POST /export/contacts", "with an Idempotency-Key", "GET /jobs/{id}")
    most = max(outcome.accepted for outcome in all_outcomes[0])
    for name, outcomes in zip(names, all_outcomes, strict=True):
        best = max(outcomes, key=lambda outcome: outcome.accepted)
        share = f"{best.accepted / most:.0%}"
        table.add_row(name, f"{best.accepted / _CLOSED_S:,.0f}", share, f"{best.cpu_ms:.2f}")
    return table


if __name__ == "__main__":
    main()
