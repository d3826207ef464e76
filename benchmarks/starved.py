"""Whether the limit holds where processes get no time: workers stopped and killed at random, every core taken.

Two workers export from several accounts, 20 calls in any 2 s each. Beside them one process a core does nothing but
count. By a seed, workers are stopped (SIGSTOP) for 0.1 to 5 s, at times for longer than their permits last, and killed
(SIGKILL). HubSpot's stand-in is stopped for 1 to 4 s now and then, which is what a delay on the way does: calls that
have left one after the other arrive together.

The stand-in judges by the instants at which it reads requests. They lie between a call's leaving and its answer, as
HubSpot's own do, whatever delays it. It runs before all others, where the system allows that: read late, calls that
have arrived together could be spread over time, and a limit that was broken would look kept.
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
from datetime import timedelta
from enum import StrEnum
from typing import Any

import requests
from rich.table import Table

from sandbox.export_api import ExportApi
from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

CALLS, WINDOW_S = 20, 2.0

_LATENCY_S = 0.1
_RECORDS = 100_000
_WORKERS, _CONCURRENCY = 2, 8
_SHORTEST_STOP_S, _LONGEST_STOP_S, _LONG_STOP_S = 0.1, 5.0, 8.0
_LONG_STOPS, _KILLS = 0.05, 0.03
_PAUSE_S = (0.2, 1.5)
_DELAY_S, _BETWEEN_DELAYS_S = (1.0, 4.0), (3.0, 8.0)
_RESTART_S = 8.0
_FIRST = -10  # of the nice values of processes: before all others


class Blow(StrEnum):
    """What happens to a process."""

    STOPPED = "stopped"
    CONTINUED = "continued"
    KILLED = "killed"


HUBSPOT = -1
"""In the place of a worker's number."""


@dataclass(frozen=True, slots=True, order=True)
class TimedBlow:
    """A blow to one of the workers, or to HUBSPOT, so many seconds after the start."""

    at_s: float
    target: int
    blow: Blow


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the accounts' calls were, by the instants at which the stand-in read them, and what had happened."""

    seconds: float
    calls: Mapping[int, Sequence[float]]
    refused: int
    plan: Sequence[TimedBlow]

    @property
    def worst_window(self) -> int:
        """Count the calls of the fullest window of any account."""
        return max((len(window) for window in self._windows()), default=0)

    @property
    def windows_over(self) -> int:
        """Count the calls that were one too many in the window that ends with them."""
        return sum(len(window) > CALLS for window in self._windows())

    @property
    def used(self) -> float:
        """The part of the limits that was used."""
        calls = sum(map(len, self.calls.values()))
        return calls / (len(self.calls) * CALLS / WINDOW_S * self.seconds)

    def blows(self, blow: Blow, *, to_hubspot: bool = False) -> int:
        """Count what has happened to workers, or to HubSpot."""
        return sum(each.blow is blow and (each.target == HUBSPOT) is to_hubspot for each in self.plan)

    def _windows(self) -> Iterator[Sequence[float]]:
        """Return the window that ends with each call."""
        for instants in self.calls.values():
            first = 0
            for last, at in enumerate(instants):
                while instants[first] <= at - WINDOW_S:
                    first += 1
                yield instants[first : last + 1]


def make_plan(seed_: int, *, seconds: float, workers: int = _WORKERS) -> Sequence[TimedBlow]:
    """Draw what happens to HubSpot and to each worker, one thing after the other."""
    chance, blows = random.Random(seed_), list[TimedBlow]()  # noqa: S311 - reproducible
    at_s = _PAUSE_S[1]
    while at_s < seconds:
        until_s = at_s + chance.uniform(*_DELAY_S)
        blows += [TimedBlow(at_s, HUBSPOT, Blow.STOPPED), TimedBlow(until_s, HUBSPOT, Blow.CONTINUED)]
        at_s = until_s + chance.uniform(*_BETWEEN_DELAYS_S)
    for worker in range(workers):
        at_s = chance.uniform(*_PAUSE_S)
        while at_s < seconds:
            if chance.random() < _KILLS:
                blows.append(TimedBlow(at_s, worker, Blow.KILLED))
                at_s += _RESTART_S
            else:
                length_s = _stop_s(chance)
                blows += [TimedBlow(at_s, worker, Blow.STOPPED), TimedBlow(at_s + length_s, worker, Blow.CONTINUED)]
                at_s += length_s
            at_s += chance.uniform(*_PAUSE_S)
    return sorted(blows)


def _stop_s(chance: random.Random) -> float:
    if chance.random() < _LONG_STOPS:
        return _LONG_STOP_S
    return math.exp(chance.uniform(math.log(_SHORTEST_STOP_S), math.log(_LONGEST_STOP_S)))


def run(seed_: int, *, seconds: float, accounts: int = 3, burners: int | None = None) -> Findings:
    """Do what is planned for that seed while exports run, and look at what HubSpot saw.

    `burners` processes take what they get of the processor; None: one a core.
    """
    settings = {"HUBSPOT_RATE_LIMIT": f"{CALLS}/{WINDOW_S:g}"}
    options = StackOptions(settings=settings, workers=_WORKERS, worker_arguments=(f"--concurrency={_CONCURRENCY}",))
    with temporary_state() as folder, Stack(folder, options=options) as stack, requests.Session() as session:
        portals = [Account(account_id=f"a{n}", owner="user", hub_id=1000 + n) for n in range(accounts)]
        for account in portals:
            records = {"contacts": _RECORDS, "deals": _RECORDS // 10}
            seed(
                stack,
                account,
                records=records,  # type: ignore[arg-type]  # literals
                rate_limit=CALLS,
                rate_interval_s=WINDOW_S,
                latency_s=_LATENCY_S,
            )
            api = ExportApi(stack.shim_url, token=mint_jwt(stack, account, life=timedelta(hours=1)), session=session)
            for export_type in ("contacts", "deals"):
                api.start(export_type)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, stack.hubspot.pid, _FIRST)
        plan = make_plan(seed_, seconds=seconds)
        with _cores_taken(os.cpu_count() or 1 if burners is None else burners):
            _carry_out(plan, stack, seconds=seconds)
        return _find(stack, portals, plan, seconds=seconds)


def _carry_out(plan: Sequence[TimedBlow], stack: Stack, *, seconds: float) -> None:
    began_at = time.monotonic()
    for each in plan:
        time.sleep(max(0.0, began_at + each.at_s - time.monotonic()))
        process = stack.hubspot if each.target == HUBSPOT else stack.workers[each.target]
        match each.blow:
            case Blow.STOPPED:
                process.send(signal.SIGSTOP)
            case Blow.CONTINUED:
                process.send(signal.SIGCONT)
            case Blow.KILLED:
                process.kill()
                process.start()
    time.sleep(max(0.0, began_at + seconds - time.monotonic()))


def _find(stack: Stack, portals: Sequence[Account], plan: Sequence[TimedBlow], *, seconds: float) -> Findings:
    control = stack.hubspot_control
    return Findings(
        seconds=seconds,
        calls={account.hub_id: _instants(control.calls(account=account.hub_id, limit=20_000)) for account in portals},
        refused=sum(control.stats(account.hub_id)["refused"] for account in portals),
        plan=plan,
    )


def _instants(calls: Sequence[Mapping[str, Any]]) -> Sequence[float]:
    """Return when the calls came that count in the limit: tokens are asked for outside of it."""
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
    """Make the table of one run a seed."""
    table = Table(
        *("seed", "seconds", "stopped", "killed", "HubSpot late", "calls", "used"),
        *(f"most in {WINDOW_S:g} s", "windows over", "answered 429"),
        title=f"starved: {CALLS} calls in {WINDOW_S:g} s, {_WORKERS} workers, every core taken",
    )
    for number, each in findings:
        table.add_row(
            str(number),
            f"{each.seconds:g}",
            str(each.blows(Blow.STOPPED)),
            str(each.blows(Blow.KILLED)),
            str(each.blows(Blow.STOPPED, to_hubspot=True)),
            str(sum(map(len, each.calls.values()))),
            f"{each.used:.0%}",
            f"{each.worst_window} of {CALLS}",
            str(each.windows_over),
            str(each.refused),
        )
    return table
