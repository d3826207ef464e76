"""Whether the rate limit holds for starved processes: workers are stopped and killed at random, all cores are busy.

Two workers export from several accounts, each limited to 20 calls in any 2 s, while one busy loop per core runs. A seed
decides when workers are stopped (SIGSTOP) for 0.1 to 5 s, sometimes for longer than their permits are valid, and killed
(SIGKILL). Now and then the fake HubSpot is stopped for 1 to 4 s, which has the effect of a network delay: calls that
were sent one after the other arrive together.

The fake HubSpot enforces the limit by the times at which it reads requests. Those lie between the sending of a call and
its answer, as HubSpot's own do. It runs at a higher priority where the system permits: if it read late, calls that
arrived together would be spread over time, and a violated limit would look kept.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

import requests
from rich.table import Table

from benchmarks.measuring import window_sizes
from benchmarks.stacks import api_of, running_stack
from sandbox.seeding import Account, seed
from sandbox.stack import Stack, StackOptions

CALLS, WINDOW_S = 20, 2.0

_LATENCY_S = 0.1
_RECORDS = 100_000
_WORKERS, _CONCURRENCY = 2, 8
_SHORTEST_STOP_S, _LONGEST_STOP_S, _LONG_STOP_S = 0.1, 5.0, 8.0
_LONG_STOPS, _KILLS = 0.05, 0.03
_PAUSE_S = (0.2, 1.5)
_DELAY_S, _BETWEEN_DELAYS_S = (1.0, 4.0), (3.0, 8.0)
_RESTART_S = 8.0
_HIGH_PRIORITY = -10  # nice value


class ProcessEvent(StrEnum):
    """What is done to a process."""

    STOPPED = "stopped"
    CONTINUED = "continued"
    KILLED = "killed"


HUBSPOT = -1
"""The target that is no worker's number."""


@dataclass(frozen=True, slots=True, order=True)
class TimedEvent:
    """An event for one of the workers, or for HUBSPOT, `at_s` seconds after the start."""

    at_s: float
    target: int
    event: ProcessEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The times of the accounts' calls, as the fake HubSpot read them, and the plan of the run."""

    seconds: float
    calls: Mapping[int, Sequence[float]]
    refused: int
    plan: Sequence[TimedEvent]

    @property
    def worst_window(self) -> int:
        """The largest number of calls of one account in any window."""
        return max(self._window_sizes(), default=0)

    @property
    def windows_over(self) -> int:
        """The number of calls that exceeded the limit in the window that ends with them."""
        return sum(size > CALLS for size in self._window_sizes())

    @property
    def used(self) -> float:
        """The share of the limits that was used."""
        calls = sum(map(len, self.calls.values()))
        return calls / (len(self.calls) * CALLS / WINDOW_S * self.seconds)

    def events(self, event: ProcessEvent, *, to_hubspot: bool = False) -> int:
        """Count the events of a kind for workers, or for HubSpot."""
        return sum(each.event is event and (each.target == HUBSPOT) is to_hubspot for each in self.plan)

    def _window_sizes(self) -> Iterator[int]:
        return chain.from_iterable(window_sizes(instants, WINDOW_S) for instants in self.calls.values())


def make_plan(seed_: int, *, seconds: float, workers: int = _WORKERS) -> Sequence[TimedEvent]:
    """Draw the events: for HubSpot and for each worker one after the other, never two at once."""
    chance, events = random.Random(seed_), list[TimedEvent]()  # noqa: S311 - reproducible
    at_s = _PAUSE_S[1]
    while at_s < seconds:
        until_s = at_s + chance.uniform(*_DELAY_S)
        events += [
            TimedEvent(at_s, HUBSPOT, ProcessEvent.STOPPED),
            TimedEvent(until_s, HUBSPOT, ProcessEvent.CONTINUED),
        ]
        at_s = until_s + chance.uniform(*_BETWEEN_DELAYS_S)
    for worker in range(workers):
        at_s = chance.uniform(*_PAUSE_S)
        while at_s < seconds:
            if chance.random() < _KILLS:
                events.append(TimedEvent(at_s, worker, ProcessEvent.KILLED))
                at_s += _RESTART_S
            else:
                length_s = _stop_s(chance)
                events += [
                    TimedEvent(at_s, worker, ProcessEvent.STOPPED),
                    TimedEvent(at_s + length_s, worker, ProcessEvent.CONTINUED),
                ]
                at_s += length_s
            at_s += chance.uniform(*_PAUSE_S)
    return sorted(events)


def _stop_s(chance: random.Random) -> float:
    if chance.random() < _LONG_STOPS:
        return _LONG_STOP_S
    return math.exp(chance.uniform(math.log(_SHORTEST_STOP_S), math.log(_LONGEST_STOP_S)))


def run(seed_: int, *, seconds: float, accounts: int = 3, burners: int | None = None) -> Findings:
    """Carry out the plan of a seed while exports run; return what HubSpot saw.

    `burners` is the number of busy loops; None: one per core.
    """
    settings = {"HUBSPOT_RATE_LIMIT": f"{CALLS}/{WINDOW_S:g}"}
    options = StackOptions(settings=settings, workers=_WORKERS, worker_arguments=(f"--concurrency={_CONCURRENCY}",))
    with running_stack(options) as stack, requests.Session() as session:
        portals = [Account(account_id=f"a{n}", owner="user", hub_id=1000 + n) for n in range(accounts)]
        for account in portals:
            records = {"contacts": _RECORDS, "deals": _RECORDS // 10}
            seed(
                stack,
                account,
                records=records,
                rate_limit=CALLS,
                rate_interval_s=WINDOW_S,
                latency_s=_LATENCY_S,
            )
            api = api_of(stack, account, session)
            for export_type in ("contacts", "deals"):
                api.start(export_type)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, stack.hubspot.pid, _HIGH_PRIORITY)
        plan = make_plan(seed_, seconds=seconds)
        with _cores_taken(os.cpu_count() or 1 if burners is None else burners):
            _carry_out(plan, stack, seconds=seconds)
        return _find(stack, portals, plan, seconds=seconds)


def _carry_out(plan: Sequence[TimedEvent], stack: Stack, *, seconds: float) -> None:
    began_at = time.monotonic()
    for each in plan:
        time.sleep(max(0.0, began_at + each.at_s - time.monotonic()))
        process = stack.hubspot if each.target == HUBSPOT else stack.workers[each.target]
        match each.event:
            case ProcessEvent.STOPPED:
                process.send(signal.SIGSTOP)
            case ProcessEvent.CONTINUED:
                process.send(signal.SIGCONT)
            case ProcessEvent.KILLED:
                process.kill()
                process.start()
    time.sleep(max(0.0, began_at + seconds - time.monotonic()))


def _find(stack: Stack, portals: Sequence[Account], plan: Sequence[TimedEvent], *, seconds: float) -> Findings:
    control = stack.hubspot_control
    return Findings(
        seconds=seconds,
        calls={account.hub_id: _instants(control.calls(account=account.hub_id, limit=20_000)) for account in portals},
        refused=sum(control.stats(account.hub_id)["refused"] for account in portals),
        plan=plan,
    )


def _instants(calls: Sequence[Mapping[str, Any]]) -> Sequence[float]:
    """Return the times of the calls that count towards the limit, which OAuth calls do not."""
    return [call["at"] for call in calls if "/oauth/" not in call["path"]]


@contextmanager
def _cores_taken(burners: int) -> Iterator[None]:
    with ExitStack() as ends:
        for _ in range(burners):
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            ends.callback(burner.wait)
            ends.callback(burner.kill)
        yield


def table_of(findings: Sequence[tuple[int, Findings]]) -> Table:
    """Return a table with one row per seed."""
    table = Table(
        *("seed", "seconds", "stopped", "killed", "HubSpot late", "calls", "used"),
        *(f"most in {WINDOW_S:g} s", "windows over", "answered 429"),
        title=f"starved: {CALLS} calls in {WINDOW_S:g} s, {_WORKERS} workers, all cores busy",
    )
    for number, each in findings:
        table.add_row(
            str(number),
            f"{each.seconds:g}",
            str(each.events(ProcessEvent.STOPPED)),
            str(each.events(ProcessEvent.KILLED)),
            str(each.events(ProcessEvent.STOPPED, to_hubspot=True)),
            str(sum(map(len, each.calls.values()))),
            f"{each.used:.0%}",
            f"{each.worst_window} of {CALLS}",
            str(each.windows_over),
            str(each.refused),
        )
    return table
