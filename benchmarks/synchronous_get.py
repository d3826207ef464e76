"""The overhead of `GET /export/contacts` over calling HubSpot directly: one caller, both in turn, on an embedded stack.

    python -m benchmarks.synchronous_get [--rounds 300] [--latency 0.05] [--records 10]

Each round fetches a page from the fake HubSpot, then the same page through the shim. The overhead is computed round by
round, so that a temporary slowdown of the machine affects both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click
import requests
from rich.table import Table

from benchmarks.measuring import elapsed_s, percentile
from benchmarks.stacks import ACCOUNT, running_stack
from benchmarks.tables import show
from sandbox.seeding import mint_jwt, seed
from sandbox.stack import Stack, StackOptions

_WARM_UP = 20


@dataclass(frozen=True)
class Timings:
    """Seconds of each round."""

    direct: list[float]
    through_shim: list[float]

    @property
    def overhead(self) -> list[float]:
        """The difference of each round."""
        return [slow - fast for fast, slow in zip(self.direct, self.through_shim, strict=True)]


@click.command()
@click.option("--rounds", default=300, show_default=True, type=click.IntRange(20, 5000))
@click.option("--latency", default=0.0, show_default=True, help="Seconds that HubSpot takes to answer.")
@click.option("--records", default=10, show_default=True, type=click.IntRange(1, 100), help="Records a page.")
def main(rounds: int, latency: float, records: int) -> None:
    """Measure and print."""
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"})
    with running_stack(options) as stack:
        seed(stack, ACCOUNT, records={"contacts": 1000}, rich=True, rate_limit=0, latency_s=latency)
        timings = _measure(stack, rounds=rounds, records=records)
    show(_table(timings, f"{rounds} rounds, {records} contacts a page, HubSpot answers in {latency * 1000:g} ms"))


def _measure(stack: Stack, *, rounds: int, records: int) -> Timings:
    token = stack.hubspot_control.issue_access_token(ACCOUNT.hub_id)
    jwt = mint_jwt(stack, ACCOUNT, life=timedelta(hours=1))
    ask_hubspot = _caller(
        f"{stack.hubspot_url}/contacts/v1/lists/all/contacts/all", token, {"count": records, "vidOffset": 0}
    )
    ask_shim = _caller(
        f"{stack.shim_url}/v1/integrations/hubspot/export/contacts", jwt, {"limit": records, "offset": 0}
    )
    pairs = [(elapsed_s(ask_hubspot), elapsed_s(ask_shim)) for _ in range(rounds + _WARM_UP)][_WARM_UP:]
    return Timings(direct=[direct for direct, _ in pairs], through_shim=[through for _, through in pairs])


def _caller(url: str, token: str, query: dict[str, Any]) -> Callable[[], None]:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"

    def call() -> None:
        answer = session.get(url, params=query, timeout=30)
        if answer.status_code != requests.codes.ok:
            raise SystemExit(f"{answer.status_code} {answer.text}")

    return call


def _table(timings: Timings, title: str) -> Table:
    table = Table("", "p50 ms", "p90 ms", "p99 ms", title=title)
    for name, seconds in (
        ("HubSpot directly", timings.direct),
        ("GET /export/contacts", timings.through_shim),
        ("overhead", timings.overhead),
    ):
        table.add_row(name, *(f"{percentile(seconds, p) * 1000:.1f}" for p in (50, 90, 99)))
    return table


if __name__ == "__main__":
    main()
