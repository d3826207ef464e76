"""The product as processes: one stack for the tests that leave it whole, and connected accounts on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import cast

import pytest
import requests

from sandbox.portal.accounts import RecordTypeName
from sandbox.seeding import Account, mint_jwt, seed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client

_numbers = count(1)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"})
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """Give a test a stack whose parts it may kill; one worker with two slots."""
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"}, worker_arguments=("--concurrency=2",))
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


def connect(stack: Stack, **records: int) -> Client:
    """Connect a new account that holds so many records of each type, without a limit on calls."""
    number = next(_numbers)
    account = Account(account_id=f"account-{number}", owner=f"user-{number}", hub_id=1000 + number)
    wanted = cast("dict[RecordTypeName, int]", records)
    seed(stack, account, records=wanted, rate_limit=0)
    token = mint_jwt(stack, account, life=timedelta(hours=1))
    return Client(stack=stack, account=account, token=token, session=requests.Session())
