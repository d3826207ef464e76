"""What each way of reading objects by the dated API costs: calls a record, records a second, the bound of the quota.

    python -m benchmarks.objects [--pages 150] [--synced 200000] [--latency 0.2] [--only history ...]

short list     a type of its own, three properties: one call a page of 100
everything     all of 600 properties, named in no address: a list call and a call by ids for each page
history        the values that a property had: 50 records a page
history+list   the same beside all 600 properties: a list call, and two calls by ids for each page
associations   each record has more associations than a list gives; the rest is read by ids
incremental    1 % of a synced type has changed, some of it was deleted: searches, and the recycle bin

The bound is the least time that HubSpot's limits allow for the calls that were made: 110 in 10 s, and 5 searches a
second beside them. `of the bound` is how much of it was used; a window's worth of calls may go at once, so that short
runs can use more than all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import click
import requests

from benchmarks.measuring import window_sizes
from benchmarks.stacks import ACCOUNT, finished, running_stack
from benchmarks.tables import figures_table, show
from sandbox.export_api import ExportApi
from sandbox.fake_hubspot.accounts import AccountOptions
from sandbox.seeding import mint_jwt, seed
from sandbox.stack import Stack, StackOptions

_PAGE = 100
_CALLS, _INTERVAL_S = 110, 10.0
_SEARCHES_A_SECOND = 5
_PROPERTIES = 600
_LINKS = 250
_WIDTH = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An export: of so many pages of a type, asked for with this body, on an account with these settings."""

    export_type: str
    body: Mapping[str, Any]
    account: AccountOptions = field(default_factory=AccountOptions)
    share: float = 1.0
    """Of the pages: what takes several calls a page needs fewer for the same time."""


_EVERYTHING: AccountOptions = {"more_properties": {"contacts": _PROPERTIES}}
SCENARIOS: Mapping[str, Scenario] = {
    "short list": Scenario(export_type="tickets", body={"properties": ["subject", "content", "hs_pipeline"]}),
    "everything": Scenario(export_type="contacts", body={"properties": ["*"]}, account=_EVERYTHING, share=0.5),
    "history": Scenario(
        export_type="contacts", body={"properties": ["email"], "history": ["lifecyclestage"]}, share=0.5
    ),
    "history+list": Scenario(
        export_type="contacts",
        body={"properties": ["*"], "history": ["lifecyclestage"]},
        account=_EVERYTHING,
        share=1 / 3,
    ),
    "associations": Scenario(
        export_type="deals",
        body={"properties": ["dealname"], "associations": ["contacts"]},
        account={"links": {"deals": {"contacts": _LINKS}}},
        share=0.5,
    ),
}
_INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A finished job: its records, its calls to HubSpot by kind, and when they were made."""

    records: int
    seconds: float
    asked_at: Sequence[float]
    searches: int
    kinds: Mapping[str, int]

    @property
    def bound_s(self) -> float:
        """The least time for so many calls, windows full from the first to the last."""
        others = len(self.asked_at) - self.searches
        return max(others / (_CALLS / _INTERVAL_S), self.searches / _SEARCHES_A_SECOND)

    @property
    def took_s(self) -> float:
        return self.asked_at[-1] - self.asked_at[0]


class Bench:
    """A running stack, whose account is set up anew for each scenario."""

    def __init__(self, stack: Stack, *, latency_s: float) -> None:
        self._stack = stack
        self._latency_s = latency_s
        token = mint_jwt(stack, ACCOUNT, life=timedelta(hours=2))
        self._api = ExportApi(stack.shim_url, token=token, session=requests.Session())

    def export(self, scenario: Scenario, *, pages: int) -> Measured:
        """Export everything. Raises ExportFailedError if any record is missing."""
        records = max(1, round(pages * scenario.share)) * _PAGE
        self._set_up({scenario.export_type: records, "contacts": records}, scenario.account)
        return self._measure(self._api.start(scenario.export_type, scenario.body), records=records)

    def incremental(self, *, records: int) -> Measured:
        """Sync a type twice; before the second time 1 % is changed, and 1 ‰ deleted."""
        self._set_up({"tickets": records}, {})
        finished(self._api, self._api.start_sync({"types": ["tickets"]}), records=records)
        control = self._stack.hubspot_control
        ids = control.record_ids(ACCOUNT.hub_id, "tickets")
        changed, deleted = ids[:: records // (records // 100)], ids[1 :: records // (records // 1000)]
        control.touch_records(ACCOUNT.hub_id, "tickets", changed)
        control.delete_records(ACCOUNT.hub_id, "tickets", deleted)
        path = self._api.start_sync({"types": ["tickets"], "mode": "incremental"})
        measured = self._measure(path, records=len(changed))
        found = self._api.body(path)["changes"]["tickets"]
        if (found["changed"], found["deleted"]) != (len(changed), len(deleted)):
            raise click.ClickException(f"the sync found {found} of {len(changed)} changed, {len(deleted)} deleted")
        return measured

    def _set_up(self, records: Mapping[str, int], options: AccountOptions) -> None:
        settings = options.copy()
        settings["records"] = dict(records)
        settings["rate_limit"], settings["rate_interval_s"] = _CALLS, _INTERVAL_S
        settings["latency_s"] = self._latency_s
        seed(self._stack, ACCOUNT, **settings)

    def _measure(self, path: str, *, records: int) -> Measured:
        control = self._stack.hubspot_control
        control.clear_calls()
        job = finished(self._api, path, records=records)
        calls = control.calls(account=ACCOUNT.hub_id)
        data = [call for call in calls if not call["path"].startswith("/oauth")]
        return Measured(
            records=records,
            seconds=job.seconds or 0.0,
            asked_at=[call["at"] for call in data],
            searches=sum(call["path"].endswith("/search") for call in data),
            kinds=self._api.body(path)["receipt"]["calls_by_kind"],
        )


@click.command()
@click.option(
    "--pages", default=150, show_default=True, type=click.IntRange(3), help="Of 100 records, of a short list."
)
@click.option("--synced", default=200_000, show_default=True, type=click.IntRange(1000), help="Records of the sync.")
@click.option("--latency", default=0.2, show_default=True, help="Seconds that HubSpot takes.")
@click.option("--only", multiple=True, type=click.Choice([*SCENARIOS, _INCREMENTAL]), help="May be repeated.")
def main(pages: int, synced: int, latency: float, only: tuple[str, ...]) -> None:
    """Measure and print."""
    wanted = only or (*SCENARIOS, _INCREMENTAL)
    measured: dict[str, Measured] = {}
    with running_stack(StackOptions(settings={"HUBSPOT_API": "dated", "EXPORT_TYPES": "*"})) as stack:
        bench = Bench(stack, latency_s=latency)
        for name in wanted:
            scenario = SCENARIOS.get(name)
            measured[name] = (
                bench.export(scenario, pages=pages) if scenario is not None else bench.incremental(records=synced)
            )
    table = figures_table(
        f"objects: {_CALLS} calls in {_INTERVAL_S:g} s, {latency * 1000:g} ms a call",
        *("", "records", "seconds", "records a second", "calls", "calls a record", "the bound, s", "of the bound"),
        *("most in 10 s",),
    )
    for name, each in measured.items():
        table.add_row(
            name,
            f"{each.records:,}",
            f"{each.seconds:.1f}",
            f"{each.records / each.seconds:,.0f}" if each.seconds else "",
            ", ".join(f"{kind} {number:,}" for kind, number in each.kinds.items()),
            f"{len(each.asked_at) / each.records:.4f}",
            f"{each.bound_s:.1f}",
            f"{each.bound_s / each.took_s:.1%}" if each.took_s else "",
            str(max(window_sizes(each.asked_at, _INTERVAL_S))),
        )
    show(table, width=_WIDTH)


if __name__ == "__main__":
    main()
