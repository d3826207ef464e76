"""How much lanes gain over HubSpot's latency: one export with and without a rate limit, and its neighbours.

    python -m benchmarks.lanes [--records 100000] [--limited-records 20000] [--latency 0.2] [--form mixed]

quick       no limit, HubSpot answers in 50 ms: an export in lanes against a bare sequential loop of `requests`; both
            are timed in the same run, the loop over its first pages only
limited     the share of 110 calls in 10 s that one export uses, in lanes for every form of HubSpot's offsets (or those
            of --form), and with EXPORT_LANES=1; start and end weigh less in longer runs: 200,000 records take three
            minutes per form
neighbours  a sequential export and synchronous GETs of the same account, alone and beside an export in lanes, which
            should use only what they leave of the limit
in vain     the share of calls that fetched no page
extra       calls beyond the necessary ones, relative to these: calls in vain, and records read twice where lanes meet
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, get_args

import click
import requests
from rich.table import Table

from benchmarks.measuring import elapsed_s, window_sizes
from benchmarks.stacks import ACCOUNT, finished, running_stack
from benchmarks.tables import figures_table, show
from sandbox.export_api import ExportApi
from sandbox.fake_hubspot.records.cursors import CursorForm
from sandbox.seeding import mint_jwt, seed
from sandbox.stack import Stack, StackOptions

_PAGE = 100
_QUICK_S = 0.05
_LOOP_PAGES = 150
_CALLS, _INTERVAL_S = 110, 10.0
_ONE_BY_ONE_PAGES = 50
_NEIGHBOUR_PAGES, _GETS = 30, 20
_POLL_S = 0.05
_WIDTH = 120
_FORMS = get_args(CursorForm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A finished export, with the times of its calls to HubSpot."""

    seconds: float
    asked_at: Sequence[float]
    pages: int
    records: int
    refused: int

    @property
    def needed(self) -> int:
        """The minimum number of calls."""
        return -(-self.records // _PAGE)

    @property
    def in_vain(self) -> float:
        """The share of calls that fetched no page."""
        return 1 - self.pages / len(self.asked_at)

    @property
    def extra(self) -> float:
        """The calls beyond the minimum, relative to it."""
        return len(self.asked_at) / self.needed - 1

    def used(self, *, latency_s: float) -> float:
        """Return the share of the limit that was used between the first call and the last answer."""
        return len(self.asked_at) / (self.asked_at[-1] - self.asked_at[0] + latency_s) / (_CALLS / _INTERVAL_S)

    def worst_window(self) -> int:
        """Return the largest number of calls in any interval of the limit."""
        return max(window_sizes(self.asked_at, _INTERVAL_S))


class Bench:
    """A running stack with one account."""

    def __init__(
        self, stack: Stack, *, records: int, latency_s: float, rate_limit: int, form: CursorForm = "last_id"
    ) -> None:
        self.stack = stack
        self.latency_s = latency_s
        self.records = records
        seed(
            stack,
            ACCOUNT,
            records={"contacts": records, "deals": 10_000},
            rate_limit=rate_limit,
            latency_s=latency_s,
            cursor_forms={"contacts": form},
        )
        self.session = requests.Session()
        self.jwt = mint_jwt(stack, ACCOUNT, life=timedelta(hours=1))
        self.api = ExportApi(stack.shim_url, token=self.jwt, session=self.session)

    def export(self) -> Export:
        """Export all contacts. Raises ExportFailedError if any is missing."""
        self.stack.hubspot_control.clear_calls()
        path = self.api.start("contacts")
        job = finished(self.api, path, records=self.records)
        calls = self.stack.hubspot_control.calls(type="contacts")
        return Export(
            seconds=job.seconds or 0.0,
            asked_at=[call["at"] for call in calls],
            pages=job.pages,
            records=self.records,
            refused=sum(call["status"] == requests.codes.too_many_requests for call in calls),
        )

    def page_seconds(self, pages: int) -> float:
        """Return the seconds per page of a bare loop over `pages` pages."""
        token = self.stack.hubspot_control.issue_access_token(ACCOUNT.hub_id)
        url = f"{self.stack.hubspot_url}/contacts/v1/lists/all/contacts/all"
        headers, offset = {"Authorization": f"Bearer {token}"}, 0
        began_at = time.monotonic()
        for _ in range(pages):
            answer = self.session.get(url, params={"count": _PAGE, "vidOffset": offset}, headers=headers, timeout=30)
            offset = answer.json()["vid-offset"]
        return (time.monotonic() - began_at) / pages

    def neighbour_seconds(self) -> float:
        """Return the seconds per page of a sequential export of another type."""
        records = _NEIGHBOUR_PAGES * _PAGE
        answer = self._send("POST", "/export/deals", json={"limit": records, "page_size": _PAGE})
        return (finished(self.api, answer.headers["Location"], records=records).seconds or 0.0) / _NEIGHBOUR_PAGES

    def get_seconds(self) -> list[float]:
        """Return the seconds of each of several consecutive GETs."""
        return [elapsed_s(lambda: self._send("GET", "/export/deals", params={"limit": 10})) for _ in range(_GETS)]

    @contextmanager
    def beside_lanes(self) -> Iterator[None]:
        """Run an export in lanes meanwhile, which already uses the whole rest of the limit."""
        path = self.api.start("contacts")
        while len(self.stack.hubspot_control.calls(type="contacts", limit=2 * _CALLS)) < 2 * _CALLS:
            time.sleep(_POLL_S)
        yield
        if self.api.job(path).has_ended:
            raise click.ClickException("the export in lanes ended before the measurement: it needs more records")

    def _send(self, method: str, path: str, **parts: Any) -> requests.Response:  # noqa: ANN401 - a request's
        url, headers = f"{self.stack.shim_url}/v1/integrations/hubspot{path}", {"Authorization": f"Bearer {self.jwt}"}
        answer = self.session.request(method, url, headers=headers, timeout=60, **parts)
        if not answer.ok:
            raise click.ClickException(f"{answer.status_code} {answer.text}")
        return answer


@click.command()
@click.option("--records", default=100_000, show_default=True, type=click.IntRange(5000), help="Without a limit.")
@click.option("--limited-records", default=20_000, show_default=True, type=click.IntRange(5000), help="With one.")
@click.option("--latency", default=0.2, show_default=True, help="Seconds that HubSpot takes, with a limit.")
@click.option(
    "--form", "forms", multiple=True, type=click.Choice(_FORMS), default=_FORMS, show_default=True, help="Of offsets."
)
@click.option("--neighbours/--no-neighbours", default=True, show_default=True, help="Takes another half a minute.")
def main(
    records: int,
    limited_records: int,
    latency: float,
    forms: tuple[CursorForm, ...],
    neighbours: bool,  # noqa: FBT001 - an option
) -> None:
    """Measure and print."""
    with _stack(HUBSPOT_RATE_LIMIT="0") as stack:
        bench = Bench(stack, records=records, latency_s=_QUICK_S, rate_limit=0)
        show(_quick_table(bench), width=_WIDTH)
    limited = {f"in lanes, {form}": _limited_export(form, limited_records, latency_s=latency) for form in forms}
    with _stack(EXPORT_LANES="1") as stack:
        one_by_one = Bench(stack, records=_ONE_BY_ONE_PAGES * _PAGE, latency_s=latency, rate_limit=_CALLS).export()
    show(_limited_table({**limited, "page after page": one_by_one}, latency_s=latency), width=_WIDTH)
    if neighbours:
        with _stack() as stack:
            bench = Bench(stack, records=100_000, latency_s=latency, rate_limit=_CALLS)
            show(_neighbours_table(bench), width=_WIDTH)


def _limited_export(form: CursorForm, records: int, *, latency_s: float) -> Export:
    with _stack() as stack:
        return Bench(stack, records=records, latency_s=latency_s, rate_limit=_CALLS, form=form).export()


def _stack(**settings: str) -> AbstractContextManager[Stack]:
    return running_stack(StackOptions(settings=settings))


def _quick_table(bench: Bench) -> Table:
    before_s, export, after_s = bench.page_seconds(_LOOP_PAGES), bench.export(), bench.page_seconds(_LOOP_PAGES)
    loop_s = (before_s + after_s) / 2 * export.needed
    table = figures_table(
        f"quick: {export.records:,} contacts, {_QUICK_S * 1000:g} ms a call, no limit",
        *("", "seconds", "calls a second", "extra calls", "times the bare loop"),
    )
    table.add_row("bare loop", f"{loop_s:.1f}", f"{export.needed / loop_s:.1f}", "", "1.0")
    table.add_row(
        "in lanes",
        f"{export.seconds:.1f}",
        f"{len(export.asked_at) / export.seconds:.0f}",
        f"{export.extra:.1%}",
        f"{loop_s / export.seconds:.1f}",
    )
    return table


def _limited_table(exports: dict[str, Export], *, latency_s: float) -> Table:
    table = figures_table(
        f"limited: {_CALLS} calls in {_INTERVAL_S:g} s, {latency_s * 1000:g} ms a call",
        *(
            "",
            "records",
            "seconds",
            "of the limit used",
            "most calls in 10 s",
            "answered 429",
            "in vain",
            "extra calls",
        ),
    )
    for name, each in exports.items():
        table.add_row(
            name,
            f"{each.records:,}",
            f"{each.seconds:.1f}",
            f"{each.used(latency_s=latency_s):.1%}",
            f"{each.worst_window()}",
            f"{each.refused}",
            f"{each.in_vain:.1%}",
            f"{each.extra:.1%}",
        )
    return table


def _neighbours_table(bench: Bench) -> Table:
    alone = bench.neighbour_seconds(), bench.get_seconds()
    time.sleep(_INTERVAL_S)
    with bench.beside_lanes():
        beside = bench.neighbour_seconds(), bench.get_seconds()
    table = figures_table(
        f"neighbours: {_CALLS} calls in {_INTERVAL_S:g} s, {bench.latency_s * 1000:g} ms a call",
        *("", "export, ms a page", "GET, ms at p50", "at most"),
    )
    for name, (page_s, gets_s) in {"alone": alone, "beside an export in lanes": beside}.items():
        table.add_row(name, f"{page_s * 1000:.0f}", f"{median(gets_s) * 1000:.0f}", f"{max(gets_s) * 1000:.0f}")
    return table


if __name__ == "__main__":
    main()
