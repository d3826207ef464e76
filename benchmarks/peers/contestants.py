"""Who fetches the contacts: programs of others that are given the same task, and this product's worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

import requests

from benchmarks.peers.environments import NotInstalledError, python_with
from benchmarks.peers.measuring import Cost, RunningProcess, cost_of, own_cost_of
from sandbox.export_api import ExportApi
from sandbox.seeding import Account, mint_jwt
from sandbox.stack import Stack

ACCOUNT = Account(account_id="account", owner="user", hub_id=1)
OURS = "this product's worker"
FLOOR = "the floor: urllib3, orjson, zstd, two writes"

_BARE = "bare loop: requests, json"
_FLOOR_SHARES = ("urllib3", "pymongo", "backports.zstd")
_ORJSON = "3.11.4"  # the only one of them that the product does not have
_PROGRAMS = Path(__file__).parent / "programs"
_OTHERS = (
    # what it is called, what it needs beside the standard library, its program
    ("official SDK 12.0.0, get_all", "hubspot-api-client==12.0.0", "official_sdk.py"),
    ("dlt 1.31.0, to JSON lines", "dlt[filesystem]==1.31.0", "dlt_files.py"),
    ("Singer tap 4.5.0", "tap-hubspot==4.5.0", "singer_tap.py"),
)


class ExportFailedError(Exception):
    """This product's own export did not bring every record."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One that fetches all contacts of the account, and says what that cost. `run` raises ProgramFailedError."""

    name: str
    run: Callable[[], Cost]


def contestants(stack: Stack, folder: Path, *, records: int, has_others: bool = True) -> Iterator[Contestant | str]:
    """Give everyone who can take part, or why one cannot; without others only us and the floor.

    `folder` is for what they write.
    """
    asked = partial(_command, stack, folder)
    yield Contestant(OURS, partial(_export, stack, records=records))
    yield from _floor(stack, folder)
    if not has_others:
        return
    yield Contestant(_BARE, partial(cost_of, asked(Path(sys.executable), "bare_requests.py"), log=folder / "bare.log"))
    for name, requirement, program in _OTHERS:
        try:
            python = python_with(Path(program).stem, requirement)
        except NotInstalledError as error:
            yield f"{name} is left out, it does not install: {error}"
            continue
        yield Contestant(name, partial(cost_of, asked(python, program), log=folder / f"{program}.log"))


def _floor(stack: Stack, folder: Path) -> Iterator[Contestant | str]:
    """Give the floor, which has the product's own versions of what both of them use."""
    shared = [f"{name}=={version(name)}" for name in _FLOOR_SHARES]
    try:
        python = python_with("floor", *shared, f"orjson=={_ORJSON}")
    except NotInstalledError as error:
        yield f"{FLOOR} is left out, it does not install: {error}"
        return
    command = [*_command(stack, folder, python, "floor.py"), stack.mongo.uri]
    yield Contestant(FLOOR, partial(own_cost_of, command, log=folder / "floor.log"))


def _command(stack: Stack, folder: Path, python: Path, program: str) -> list[str]:
    """Give everyone the same: where HubSpot is, a token, the names of the properties, a file to write to."""
    token = stack.hubspot_control.issue_access_token(ACCOUNT.hub_id)
    properties = ",".join(_properties(stack, token))
    return [str(python), str(_PROGRAMS / program), stack.hubspot_url, token, properties, str(folder / f"{program}.out")]


def _properties(stack: Stack, token: str) -> list[str]:
    answer = requests.get(
        f"{stack.hubspot_url}/crm/v3/properties/contacts", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    names = [str(each["name"]) for each in answer.json()["results"]]
    return [name for name in names if name.replace("_", "").isalnum()]  # HubSpot's own have no others


def _export(stack: Stack, *, records: int) -> Cost:
    """Export through the API; what the worker costs is counted, until the job has ended."""
    with requests.Session() as session:
        api = ExportApi(stack.shim_url, token=mint_jwt(stack, ACCOUNT, life=timedelta(hours=1)), session=session)
        process = RunningProcess(stack.workers[0].pid)
        path = api.start("contacts")
        while not (job := api.job(path)).has_ended:
            time.sleep(0.01)
        if (job.status, job.records) != ("succeeded", records):
            raise ExportFailedError(f"{job.status} with {job.records} of {records} records: {job.error}")
        return process.cost()
