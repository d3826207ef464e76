"""`python -m sandbox demo`: one complete run of the product through its public HTTP API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from sandbox.commands.demo_setup import ACCOUNT, LATENCY_S, RECORDS, DemoError, running_demo_stack
from sandbox.commands.display import display_for, rate_text
from sandbox.commands.excerpt import excerpt
from sandbox.commands.interruptions import Interruptions
from sandbox.export_api import ExportApi, JobState
from sandbox.fake_hubspot.accounts import RecordTypeName
from sandbox.seeding import mint_jwt
from sandbox.stack import Stack

_LIST_KEYS = {"contacts": "contacts", "companies": "companies", "deals": "deals", "notes": "results"}
_HUBSPOTS_NAMES: Mapping[str, RecordTypeName] = {
    "contacts": "contacts",
    "companies": "companies",
    "deals": "deals",
    "notes": "engagements",
}
_JWT_LIFE = timedelta(hours=1)
_POLL_S = 0.1
_PAGE_LIMIT = 10


def run(interruptions: Interruptions, *, console: Console) -> None:
    """Start the stack, export all four types, print and verify the results, stop the stack.

    Raises as `running_demo_stack` does, and DemoError when an export differs from what HubSpot holds.
    """
    began_at = time.monotonic()
    with running_demo_stack(interruptions, console=console) as stack, requests.Session() as session:
        api = ExportApi(stack.shim_url, token=mint_jwt(stack, ACCOUNT, life=_JWT_LIFE), session=session)
        _Demo(stack, api=api, console=console, interruptions=interruptions).show()
    console.print(f"Everything is stopped, after {time.monotonic() - began_at:.1f} s in total.")


class _Demo:
    def __init__(self, stack: Stack, *, api: ExportApi, console: Console, interruptions: Interruptions) -> None:
        self._stack = stack
        self._api = api
        self._console = console
        self._interruptions = interruptions

    def show(self) -> None:
        self._console.print(
            f"Exporting an account of {sum(RECORDS.values()):,} records; "
            f"the fake HubSpot takes {LATENCY_S * 1000:.0f} ms to answer.\n"
        )
        paths = {export_type: self._api.start(export_type) for export_type in _LIST_KEYS}
        states = self._follow(paths)
        self._show_page(paths["contacts"])
        self._show_table(states)
        self._compare(paths, states)
        self._show_other_side()

    def _follow(self, paths: Mapping[str, str]) -> Mapping[str, JobState]:
        """Poll the jobs until all have ended."""
        states: dict[str, JobState] = {}
        totals = {export_type: RECORDS[name] for export_type, name in _HUBSPOTS_NAMES.items()}
        with display_for(self._console, totals=totals) as display:
            while len(states) < len(paths) or not all(state.has_ended for state in states.values()):
                self._interruptions.pause(_POLL_S)
                self._stack.check()
                for export_type, path in paths.items():
                    states[export_type] = self._api.job(path)
                    display.show(export_type, states[export_type])
                display.refresh()
        return states

    def _show_page(self, path: str) -> None:
        self._console.print(f"\nGET {path}/results?limit={_PAGE_LIMIT}, shortened for the screen:", soft_wrap=True)
        self._console.print_json(excerpt(self._api.results(path, limit=_PAGE_LIMIT)))

    def _show_table(self, states: Mapping[str, JobState]) -> None:
        table = Table("type", title="\nExported", title_justify="left", title_style="bold")
        for column in ("pages", "records", "seconds", "records/s"):
            table.add_column(column, justify="right")
        for name, state in states.items():
            seconds = f"{state.seconds:.2f}" if state.seconds is not None else "-"
            table.add_row(name, f"{state.pages:,}", f"{state.records:,}", seconds, rate_text(state))
        self._console.print(table)

    def _compare(self, paths: Mapping[str, str], states: Mapping[str, JobState]) -> None:
        """Compare HubSpot's record counts with those of the jobs and with the results read back."""
        held: Mapping[str, int] = self._stack.hubspot_control.account(ACCOUNT.hub_id)["records"]
        for export_type, state in states.items():
            self._interruptions.check()
            if state.status != "succeeded":
                raise DemoError(f"the export of {export_type} has {state.status}: {state.error}")
            expected = held[_HUBSPOTS_NAMES[export_type]]
            found = self._api.count_results(paths[export_type], list_key=_LIST_KEYS[export_type])
            if not expected == state.records == found:
                counts = f"HubSpot holds {expected:,} records, the job counts {state.records:,}, its results {found:,}"
                raise DemoError(f"{export_type}: {counts}")
        self._console.print(f"All {sum(held.values()):,} records that HubSpot holds were exported and read back.")

    def _show_other_side(self) -> None:
        stats: dict[str, Any] = self._stack.hubspot_control.stats()
        account, tokens = stats["accounts"][str(ACCOUNT.hub_id)], stats["totals"]["by_type"].get("token", 0)
        self._console.print(
            f"HubSpot's side: the stored token had expired, renewals: {tokens}; most calls in 10 s: "
            f"{account['peak_calls']} of 110 allowed; refused: {account['refused']}."
        )
