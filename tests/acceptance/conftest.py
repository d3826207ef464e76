"""The product as processes: stacks that tests share, and accounts connected on them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import timedelta
from itertools import count
from typing import cast

import pytest
import requests

from sandbox.fake_hubspot.accounts import RecordTypeName
from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client
from tests.acceptance.stacks import ALL_TYPES, PLAIN, UNLIMITED, Crew, SharedStacks
from tests.groups import WITH_ALL_TYPES, group_of

_CONTRACT = {"exports", "syncs", "refusals", "dry_run", "openapi", "downloads", "job_control", "current_copy"}
"""Files whose tests state the documented contract: it holds with all types enabled as well, on a stack of its own."""

_SHARED = pytest.StashKey[SharedStacks]()
_numbers = count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what states the contract once more with all types enabled, under the same name and one more id."""
    in_contract = metafunc.module.__name__.rpartition(".test_")[2] in _CONTRACT
    if in_contract and "further_settings" in metafunc.fixturenames:
        enabled = (pytest.param(None, id=pytest.HIDDEN_PARAM), pytest.param(ALL_TYPES, id=WITH_ALL_TYPES))
        metafunc.parametrize("further_settings", enabled, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace a shared stack on which a test has failed."""
    report = yield
    if report.failed and _SHARED in item.config.stash:
        item.config.stash[_SHARED].is_spoiled = True
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the shared stack after its group: an idle one takes processor time from others."""
    if _SHARED in item.config.stash and (nextitem is None or group_of(nextitem.nodeid) != group_of(item.nodeid)):
        item.config.stash[_SHARED].close()


@pytest.fixture(scope="session")
def further_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return what a stack has set beside the usual: nothing but in tests of the contract with all types."""
    return dict(getattr(request, "param", None) or ())


@pytest.fixture(scope="session")
def stack(further_settings: dict[str, str]) -> Iterator[Stack]:
    options = StackOptions(settings=UNLIMITED | further_settings)
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


@pytest.fixture(scope="session")
def stacks(pytestconfig: pytest.Config) -> Iterator[SharedStacks]:
    pytestconfig.stash[_SHARED] = shared = SharedStacks()
    yield shared
    shared.close()


@pytest.fixture
def own_stack(stacks: SharedStacks) -> Iterator[Stack]:
    """Lend a test a stack with one worker of two slots, whose servers it may stop and start again."""
    with stacks.lent(PLAIN) as running:
        yield running


@pytest.fixture
def counted(stacks: SharedStacks) -> Iterator[Stack]:
    """Lend a test a stack without a beat: servers are called for nothing but what the test does."""
    options = StackOptions(beats=0, workers=0, settings={"HUBSPOT_RATE_LIMIT": "10000/10", "EXPORT_LANES": "1"})
    with stacks.lent(options, Crew(slots=32)) as running:
        yield running


def connect(stack: Stack, **records: int) -> Client:
    """Connect a new account that holds so many records of each type, without a limit on calls."""
    number = next(_numbers)
    account = Account(account_id=f"account-{number}", owner=f"user-{number}", hub_id=1000 + number)
    wanted = cast("dict[RecordTypeName, int]", records)
    seed(stack, account, records=wanted, rate_limit=0)
    token = mint_jwt(stack, account, life=timedelta(hours=1))
    return Client(stack=stack, account=account, token=token, session=requests.Session())
