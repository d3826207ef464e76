"""The cost of many long polls of unchanging jobs, for the shim and for other callers.

    python -m benchmarks.long_polls [--polls 1000] [--jobs 1] [--seconds 10]

No worker runs, so that the jobs do not change. The shim's share of a core is the CPU time of its process. Meanwhile one
caller reads a job ten times a second. Then all polls end at once.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import click
import requests
from rich.table import Table

from benchmarks.measuring import RunningProcess, percentile
from benchmarks.stacks import ACCOUNT, running_stack
from benchmarks.tables import show
from sandbox.seeding import mint_jwt, seed
from sandbox.stack import StackOptions

_BASE_PATH = "/v1/integrations/hubspot"
_SETTLE_S = 3.0
_EVERY_S = 0.1
_NO_CAP = {"HUBSPOT_RATE_LIMIT": "0", "MAX_OPEN_JOBS_PER_ACCOUNT": "0", "MAX_WAITING_REQUESTS_PER_CALLER": "0"}


@dataclass(frozen=True)
class ShimAddress:
    """The address of the shim, and the caller's JWT."""

    host: str
    port: int
    jwt: str

    async def ask(self, path: str, *, wait_s: int | None = None) -> bytes:
        """Return the first bytes of the answer, status included; each call opens a connection of its own."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        prefer = f"Prefer: wait={wait_s}\r\n" if wait_s is not None else ""
        head = f"GET {_BASE_PATH}{path} HTTP/1.1\r\nHost: shim\r\nConnection: close\r\n{prefer}"
        writer.write(f"{head}Authorization: Bearer {self.jwt}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer[:15]


@dataclass(frozen=True)
class Findings:
    """The shim's share of a core, the seconds of the other caller's reads, and how the polls ended."""

    share_of_core: float
    others: list[float]
    answered: int
    ended_within_s: float


@click.command()
@click.option("--polls", default=1000, show_default=True, type=click.IntRange(1, 5000))
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 5000), help="How many jobs they wait for.")
@click.option("--seconds", default=10, show_default=True, type=click.IntRange(3, 40))
def main(polls: int, jobs: int, seconds: int) -> None:
    """Measure and print."""
    options = StackOptions(settings=_NO_CAP, workers=0, beats=0)
    with running_stack(options) as stack:
        seed(stack, ACCOUNT, records={"contacts": 1})
        url, jwt = f"{stack.shim_url}{_BASE_PATH}", mint_jwt(stack, ACCOUNT, life=timedelta(hours=1))
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {jwt}"
        made = [session.post(f"{url}/export/contacts", timeout=30).json()["data"]["job_id"] for _ in range(jobs)]
        parts = urlsplit(stack.shim_url)
        shim = ShimAddress(parts.hostname or "", parts.port or 0, jwt)
        found = asyncio.run(_measure(shim, made, polls=polls, seconds=seconds, process_id=stack.shim.pid))
    show(_table(found, f"{polls} long polls of {jobs} jobs, {seconds} s"))


async def _measure(shim: ShimAddress, jobs: list[str], *, polls: int, seconds: int, process_id: int) -> Findings:
    wait_s = int(seconds + _SETTLE_S + 2 + polls / 200)
    paths = [f"/jobs/{jobs[number % len(jobs)]}" for number in range(polls)]
    ends_at = time.perf_counter() + wait_s
    waiting = [asyncio.create_task(shim.ask(path, wait_s=wait_s)) for path in paths]
    await asyncio.sleep(_SETTLE_S + polls / 200)
    began, process = time.perf_counter(), RunningProcess(process_id)
    others = []
    while time.perf_counter() < began + seconds:
        asked_at = time.perf_counter()
        await shim.ask(f"/jobs/{jobs[0]}")
        others.append(time.perf_counter() - asked_at)
        await asyncio.sleep(_EVERY_S)
    cost = process.cost()
    answers = await asyncio.gather(*waiting)
    answered = sum(b" 200" in each for each in answers)
    return Findings(cost.cpu_s / cost.wall_s, others, answered, time.perf_counter() - ends_at)


def _table(found: Findings, title: str) -> Table:
    table = Table("", "", title=title)
    p50, p99 = (percentile(found.others, each) for each in (50, 99))
    table.add_row("share of a core", f"{found.share_of_core * 100:.1f} %")
    table.add_row("another GET /jobs/{id}, p50 / p99", f"{p50 * 1000:.1f} / {p99 * 1000:.1f} ms")
    table.add_row("answered 200", f"{found.answered}")
    table.add_row("last answer after the first was due", f"{found.ended_within_s:.2f} s")
    return table


if __name__ == "__main__":
    main()
