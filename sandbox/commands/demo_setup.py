"""The setup of `demo` and `up`: a running stack with one connected account that has records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests
from pymongo.errors import PyMongoError
from rich.console import Console

from sandbox.commands.interruptions import Interruptions
from sandbox.control import ControlError
from sandbox.export_api import ApiError
from sandbox.fake_hubspot.accounts import RecordTypeName
from sandbox.seeding import Account, seed
from sandbox.stack import Stack
from sandbox.state_folder import temporary_state

ACCOUNT = Account(account_id="demo-account", owner="demo-user", hub_id=62515)

# 90 pages in total: HubSpot's limit of 110 calls in 10 s applies, but does not slow the demo down.
RECORDS: Mapping[RecordTypeName, int] = {"contacts": 3000, "companies": 5000, "deals": 5000, "engagements": 5000}
LATENCY_S = 0.1

_DEATH_SHOWS_S = 0.2


class DemoError(Exception):
    """The stack runs but misbehaves; the text says how."""


@contextmanager
def running_demo_stack(interruptions: Interruptions, *, console: Console) -> Iterator[Stack]:
    """Start the stack, seed the account, and stop the stack on exit.

    Raises UnusableBinaryError, ProcessFailedError when a process has died, StopRequestedError after a signal, and
    DemoError when a server does not answer although all processes run.
    """
    began_at = time.monotonic()
    console.print("Starting MongoDB, Redis, a fake HubSpot, a worker, beat and the HTTP shim …")
    with temporary_state() as folder, Stack(folder, pause=interruptions.pause) as stack:
        with _preferring_dead_processes(stack, interruptions):
            seed(stack, ACCOUNT, records=dict(RECORDS), latency_s=LATENCY_S)
            console.print(f"Ready after {time.monotonic() - began_at:.1f} s.")
            yield stack
        interruptions.check()


@contextmanager
def _preferring_dead_processes(stack: Stack, interruptions: Interruptions) -> Iterator[None]:
    """Report a dead process in preference to the connection error that its death causes."""
    try:
        yield
    except (ApiError, ControlError, PyMongoError, requests.RequestException) as error:
        interruptions.pause(_DEATH_SHOWS_S)
        stack.check()
        raise DemoError(str(error)) from None
