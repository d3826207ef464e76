"""How long one account waits while another one floods the queue.

    python -m benchmarks.flood [--exports 150] [--slots 8] [--workers 1] [--rounds 5] [--limit 110/10]

Account F asks for exports of one record a page, account G for one page and for an export of 200 notes: with nobody
else there, then while F's exports are at work, every three seconds. HubSpot's stand-in takes 100 ms for an answer and
enforces no limit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import click
import requests
from rich.console import Console
from rich.table import Table

from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

_EXPORT = "/v1/integrations/hubspot/export"
_FLOODS = Account(account_id="floods", owner="user", hub_id=1)
_ASKS = Account(account_id="asks", owner="user", hub_id=2)
_RECORDS, _NOTES = 100, 200
_LATENCY_S = 0.1
_PAUSE_S = 3.0
_WAIT_S = 25
_LOOK_EVERY_S = 0.02
_GIVE_UP_S = 200.0
_TIMEOUT_S = 60.0
_WIDTH = 100


@click.command()
@click.option("--exports", default=150, show_default=True, type=click.IntRange(min=1), help="Of account F.")
@click.option("--slots", default=8, show_default=True, type=click.IntRange(min=1), help="Of each worker.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="That account G asks in.")
@click.option(
    "--limit", default="0", show_default=True, help="HUBSPOT_RATE_LIMIT; 0: none, so that slots alone are short."
)
def main(exports: int, slots: int, workers: int, rounds: int, limit: str) -> None:
    """Measure and print."""
    options = StackOptions(
        workers=workers, worker_arguments=(f"--concurrency={slots}",), settings={"HUBSPOT_RATE_LIMIT": limit}
    )
    with temporary_state() as folder, Stack(folder, options=options) as stack, requests.Session() as session:
        seed(stack, _FLOODS, records={"contacts": _RECORDS}, rate_limit=0, latency_s=_LATENCY_S)
        seed(stack, _ASKS, records={"contacts": _RECORDS, "engagements": _NOTES}, rate_limit=0, latency_s=_LATENCY_S)
        guest = _Client(stack, _ASKS, session)
        guest.page()  # the first one renews the token
        alone = [_ask_twice(guest) for _ in range(rounds)]
        host = _Client(stack, _FLOODS, session)
        for _ in range(exports):
            host.start("contacts", {"page_size": 1})
        crowded = [_ask_twice(guest, after_s=_PAUSE_S) for _ in range(rounds)]
    table = Table(title=f"{exports} exports of one account on {workers} x {slots} slots: what another one waits, in s")
    for heading in ("", "one page: median", "most", "200 notes: median", "most"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, found in (("alone", alone), ("beside the flood", crowded)):
        pages, notes = zip(*found, strict=True)
        table.add_row(
            name, *(f"{each:.2f}" for times in (pages, notes) for each in (statistics.median(times), max(times)))
        )
    Console(width=max(Console().width, _WIDTH)).print(table)


class _Client:
    """A caller of the API."""

    def __init__(self, stack: Stack, account: Account, session: requests.Session) -> None:
        token = mint_jwt(stack, account, life=timedelta(hours=1))
        self._url = stack.shim_url
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}", "Prefer": f"wait={_WAIT_S}"}

    def page(self) -> None:
        """Ask for a page, and until it has come where it takes longer than a caller may wait."""
        answer = self._ask("GET", f"{_EXPORT}/contacts?limit=10")
        if answer.status_code == requests.codes.accepted:
            self.finish(answer.headers["Location"])

    def start(self, type_: str, body: dict[str, int]) -> str:
        """Start an export, and answer its path."""
        return self._ask("POST", f"{_EXPORT}/{type_}", body).headers["Location"]

    def finish(self, path: str) -> None:
        """Wait for a job."""
        give_up_at = time.monotonic() + _GIVE_UP_S
        while (status := self._ask("GET", path).json()["data"]["status"]) != "succeeded":
            if status in {"failed", "cancelled"} or time.monotonic() > give_up_at:
                raise click.ClickException(f"{path} is {status}")
            time.sleep(_LOOK_EVERY_S)

    def _ask(self, method: str, path: str, body: dict[str, int] | None = None) -> requests.Response:
        answer = self._session.request(
            method, f"{self._url}{path}", json=body, headers=self._headers, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        return answer


def _ask_twice(guest: _Client, *, after_s: float = 0.0) -> Sequence[float]:
    """Return the seconds that a page and an export take, asked for one after the other."""
    time.sleep(after_s)
    return _seconds(guest.page), _seconds(lambda: guest.finish(guest.start("notes", {})))


def _seconds(act: Callable[[], object]) -> float:
    began_at = time.monotonic()
    act()
    return time.monotonic() - began_at


if __name__ == "__main__":
    main()
