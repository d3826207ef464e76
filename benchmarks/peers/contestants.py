"""The contestants: this product's worker, and other programs with the same task."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import requests

from benchmarks.measuring import Cost, RunningProcess, cost_of, own_cost_of
from benchmarks.peers.environments import NotInstalledError, python_with
from benchmarks.stacks import api_of, finished
from sandbox.seeding import Account
from sandbox.stack import Stack

ACCOUNT = Account(account_id="account", owner="user", hub_id=1)
OURS = "this product's worker"
FLOOR = "the floor: urllib3, orjson, zstd, two writes"

_BARE = "bare loop: requests, json"
_FLOOR_SHARES = ("urllib3", "pymongo", "backports.zstd")
_ORJSON = "3.11.4"  # the only library of the floor that the product does not use
_PROGRAMS = Path(__file__).parent / "programs"
_OTHERS = (
    # name, requirement, program
    ("official SDK 12.0.0, get_all", "hubspot-api-client==12.0.0", "official_sdk.py"),
    ("dlt 1.31.0, to JSON lines", "dlt[filesystem]==1.31.0", "dlt_files.py"),
    ("Singer tap 4.5.0", "tap-hubspot==4.5.0", "singer_tap.py"),
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that fetches all contacts of the account. `run` raises ProgramFailedError or ExportFailedError."""

    name: str
    run: Callable[[], Cost]


def contestants(stack: Stack, *, records: int, has_others: bool = True) -> Iterator[Contestant | str]:
    """Yield each contestant, or the reason why one cannot take part; without others only the worker and the floor."""
    folder = stack.folder
    yield Contestant(OURS, partial(_export, stack, records=records))
    yield from _floor(stack)
    if not has_others:
        return
    bare = _command(stack, Path(sys.executable), "bare_requests.py")
    yield Contestant(_BARE, partial(cost_of, bare, log=folder / "bare.log"))
    for name, requirement, program in _OTHERS:
        try:
            python = python_with(Path(program).stem, requirement)
        except NotInstalledError as error:
            yield f"{name} is left out, it does not install: {error}"
            continue
        command = _command(stack, python, program)
        yield Contestant(name, partial(cost_of, command, log=folder / f"{program}.log"))


def _floor(stack: Stack) -> Iterator[Contestant | str]:
    """Yield the floor, which uses the product's versions of the libraries that they share."""
    shared = [f"{name}=={version(name)}" for name in _FLOOR_SHARES]
    try:
        python = python_with("floor", *shared, f"orjson=={_ORJSON}")
    except NotInstalledError as error:
        yield f"{FLOOR} is left out, it does not install: {error}"
        return
    command = [*_command(stack, python, "floor.py"), stack.mongo.uri]
    yield Contestant(FLOOR, partial(own_cost_of, command, log=stack.folder / "floor.log"))


def _command(stack: Stack, python: Path, program: str) -> list[str]:
    """Return the command line: HubSpot's URL, a token, the property names, a file for the output."""
    token = stack.hubspot_control.issue_access_token(ACCOUNT.hub_id)
    properties = ",".join(_properties(stack, token))
    out = stack.folder / f"{program}.out"
    return [str(python), str(_PROGRAMS / program), stack.hubspot_url, token, properties, str(out)]


def _properties(stack: Stack, token: str) -> list[str]:
    answer = requests.get(
        f"{stack.hubspot_url}/crm/v3/properties/contacts", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    names = [str(each["name"]) for each in answer.json()["results"]]
    return [name for name in names if name.replace("_", "").isalnum()]  # real names have no other characters


def _export(stack: Stack, *, records: int) -> Cost:
    """Export through the API; return the cost of the worker. Raises ExportFailedError."""
    with requests.Session() as session:
        api = api_of(stack, ACCOUNT, session)
        process = RunningProcess(stack.workers[0].pid)
        finished(api, api.start("contacts"), records=records, poll_s=0.01)
        return process.cost()
