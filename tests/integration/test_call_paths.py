"""A reader who follows a call passes few files: no further hop comes in unnoticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

PAGE = 100  # records
PAGES = 5
ACCOUNT = Account(account_id="a1", owner="u1", hub_id=1)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"}, workers=0, beats=0, shim=False)
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


def traced(stack: Stack, *, pages: int) -> dict[str, Any]:
    seed(stack, ACCOUNT, records={"contacts": pages * PAGE}, rate_limit=0)
    words = [sys.executable, "-m", "tests.integration.call_paths", mint_jwt(stack, ACCOUNT, life=timedelta(hours=1))]
    done = subprocess.run(words, env=os.environ | stack.settings, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_a_reader_has_to_follow_stays_short(stack: Stack) -> None:
    fewer, more = traced(stack, pages=PAGES), traced(stack, pages=PAGES + 1)
    page = Counter(more["slice"]["calls"]) - Counter(fewer["slice"]["calls"])
    found = {
        "post": (len(more["post"]["calls"]), more["post"]["changes"]),
        "page": (len(page), more["slice"]["changes"] - fewer["slice"]["changes"]),
        "results": (len(more["results"]["calls"]), more["results"]["changes"]),
    }
    print(found, page)
    assert found == {}
