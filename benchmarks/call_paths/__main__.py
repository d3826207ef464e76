"""`python -m benchmarks.call_paths`: the files that a call enters, and how often one file's code calls another's.

Three calls are traced, over a real MongoDB and Redis and the fake HubSpot: `POST /export/contacts`; one further page of
a sequential export, as the difference between two exports; and `GET /jobs/{id}/results`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import click

from benchmarks.stacks import ACCOUNT, running_stack
from benchmarks.tables import figures_table, show
from sandbox.seeding import mint_jwt, seed
from sandbox.stack import Stack, StackOptions

_OPTIONS = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"}, workers=0, beats=0, shim=False)
_PAGE = 100  # records
_PAGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPath:
    """How often functions of each file were called, and how many of the calls came from another file."""

    calls: Counter[str]
    changes: int

    def __sub__(self, other: Self) -> CallPath:
        return CallPath(calls=self.calls - other.calls, changes=self.changes - other.changes)


@click.command()
@click.option("--files", is_flag=True, help="Show the calls by file as well.")
def main(*, files: bool) -> None:
    """Trace three calls through the product."""
    with running_stack(_OPTIONS) as stack:
        fewer, more = _traced(stack, pages=_PAGES), _traced(stack, pages=_PAGES + 1)
    paths = {"POST /export": more["post"], "one page": more["slice"] - fewer["slice"], "results": more["results"]}
    table = figures_table("What a call goes through", "call", "files", "changes of file")
    for name, path in paths.items():
        table.add_row(name, str(len(path.calls)), str(path.changes))
        for file, calls in path.calls.most_common() if files else ():
            table.add_row(f"  {file}", "", str(calls))
    show(table)


def _traced(stack: Stack, *, pages: int) -> Mapping[str, CallPath]:
    seed(stack, ACCOUNT, records={"contacts": pages * _PAGE}, rate_limit=0)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.call_paths.traced"],
        env=os.environ | stack.settings,
        input=mint_jwt(stack, ACCOUNT, life=timedelta(hours=1)).encode(),
        check=True,
        stdout=subprocess.PIPE,
    )
    found = json.loads(done.stdout)
    return {name: CallPath(calls=Counter(path["calls"]), changes=path["changes"]) for name, path in found.items()}


main()
