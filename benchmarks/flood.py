"""How long one account waits while another account floods the queue.

    python -m benchmarks.flood [--exports 150] [--slots 8] [--workers 1] [--rounds 5] [--limit 110/10]

Account F submits exports of one record a page. Account G requests one page and an export of 200 notes: first alone,
then every three seconds while F's exports run. The fake HubSpot takes 100 ms to answer and enforces no limit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from datetime import timedelta

import click
import requests

from benchmarks.measuring import elapsed_s
from benchmarks.stacks import running_stack
from benchmarks.tables import figures_table, show
from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions

_EXPORT = "/v1/integrations/hubspot/export"
_FLOODS = Account(account_id="floods", owner="user", hub_id=1)
_ASKS = Account(account_id="asks", owner="user", hub_id=2)
_RECORDS, _NOTES = 100, 200
_LATENCY_S = 0.1
_PAUSE_S = 3.0
_WAIT_S = 25
_POLL_S = 0.02
_GIVE_UP_S = 200.0
_TIMEOUT_S = 60.0


@click.command()
@click.option("--exports", default=150, show_default=True, type=click.IntRange(min=1), help="Of account F.")
@click.option("--slots", default=8, show_default=True, type=click.IntRange(min=1), help="Of each worker.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="Of account G's requests.")
@click.option(
    "--limit", default="0", show_default=True, help="HUBSPOT_RATE_LIMIT; 0: none, so that only slots are scarce."
)
def main(exports: int, slots: int, workers: int, rounds: int, limit: str) -> None:
    """Measure and print."""
    options = StackOptions(
        workers=workers, worker_arguments=(f"--concurrency={slots}",), settings={"HUBSPOT_RATE_LIMIT": limit}
    )
    with running_stack(options) as stack, requests.Session() as session:
        seed(stack, _FLOODS, records={"contacts": _RECORDS}, rate_limit=0, latency_s=_LATENCY_S)
        seed(stack, _ASKS, records={"contacts": _RECORDS, "engagements": _NOTES}, rate_limit=0, latency_s=_LATENCY_S)
        guest = _Client(stack, _ASKS, session)
        guest.page()  # warm-up: the first call renews the token
        alone = [_page_and_export_s(guest) for _ in range(rounds)]
        host = _Client(stack, _FLOODS, session)
        for _ in range(exports):
            host.start("contacts", {"page_size": 1})
        flooded = [_page_and_export_s(guest, after_s=_PAUSE_S) for _ in range(rounds)]
    title = f"{exports} exports of one account on {workers} x {slots} slots: how long another one waits, in s"
    table = figures_table(title, "", "one page: median", "max", "200 notes: median", "max")
    for name, found in (("alone", alone), ("during the flood", flooded)):
        pages, notes = zip(*found, strict=True)
        table.add_row(
            name, *(f"{each:.2f}" for times in (pages, notes) for each in (statistics.median(times), max(times)))
        )
    show(table)


class _Client:
    """A caller of the API."""

    def __init__(self, stack: Stack, account: Account, session: requests.Session) -> None:
        token = mint_jwt(stack, account, life=timedelta(hours=1))
        self._url = stack.shim_url
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}", "Prefer": f"wait={_WAIT_S}"}

    def page(self) -> None:
        """Request a page synchronously; if the answer is 202, wait for the job."""
        answer = self._ask("GET", f"{_EXPORT}/contacts?limit=10")
        if answer.status_code == requests.codes.accepted:
            self.finish(answer.headers["Location"])

    def start(self, type_: str, body: dict[str, int]) -> str:
        """Start an export; return the path of its job."""
        return self._ask("POST", f"{_EXPORT}/{type_}", body).headers["Location"]

    def finish(self, path: str) -> None:
        """Wait until the job has succeeded."""
        give_up_at = time.monotonic() + _GIVE_UP_S
        while (status := self._ask("GET", path).json()["data"]["status"]) != "succeeded":
            if status in {"failed", "cancelled"} or time.monotonic() > give_up_at:
                raise click.ClickException(f"{path} is {status}")
            time.sleep(_POLL_S)

    def _ask(self, method: str, path: str, body: dict[str, int] | None = None) -> requests.Response:
        answer = self._session.request(
            method, f"{self._url}{path}", json=body, headers=self._headers, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        return answer


def _page_and_export_s(guest: _Client, *, after_s: float = 0.0) -> Sequence[float]:
    """Return the seconds of a page and of an export, requested one after the other."""
    time.sleep(after_s)
    return elapsed_s(guest.page), elapsed_s(lambda: guest.finish(guest.start("notes", {})))


if __name__ == "__main__":
    main()
