"""Turns by account: whoever floods the queue delays only itself, and lost messages are published again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from redis import Redis

from sandbox.stack import Stack
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import PLAIN, Crew, SharedStacks
from tests.patience import HELD_UP_S, until

SLOTS, OF_ACCOUNT = 4, 2
EXPORTS, PAGES = 30, 60
LATENCY_S = 0.1
TWO_SLICES_S = 4.0  # each gives way after its share of two seconds
BULK = "hubspot-export:bulk"


@pytest.fixture
def stack(stacks: SharedStacks) -> Iterator[Stack]:
    settings = {"SLOTS_PER_ACCOUNT": str(OF_ACCOUNT), "EXPORT_LANES": "1"}
    with stacks.lent(PLAIN, Crew(slots=SLOTS, settings=settings)) as running:
        yield running


def flood(stack: Stack) -> Client:
    """Start many exports of one record a page for one account."""
    client = connect(stack, contacts=PAGES)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=LATENCY_S)
    for _ in range(EXPORTS):
        client.start("contacts", {"page_size": 1})
    return client


def held_by(client: Client) -> int:
    leased = client.documents("jobs", account_id=client.account.account_id, lease={"$ne": None})
    return len([job for job in leased if job["lease"]["expires_at"] > datetime.now(UTC)])


def test_who_floods_the_queue_delays_nobody_else(stack: Stack) -> None:
    guest = connect(stack, contacts=10, engagements=200)
    assert guest.get("/export/contacts").status_code == 200  # the first one renews the token
    floods = flood(stack)
    until(lambda: held_by(floods), lambda held: held == OF_ACCOUNT)

    for _ in range(3):
        began_at = time.monotonic()
        assert guest.get("/export/contacts").status_code == 200
        page_s, began_at = time.monotonic() - began_at, time.monotonic()
        assert guest.finished(guest.start("notes"))["progress"]["records"] == 200
        notes_s = time.monotonic() - began_at

        assert max(page_s, notes_s) < TWO_SLICES_S + HELD_UP_S
        assert held_by(floods) <= OF_ACCOUNT

    with Redis.from_url(stack.redis.url) as redis:
        until(lambda: redis.llen(BULK), lambda messages: int(messages) <= OF_ACCOUNT)


def test_jobs_whose_messages_are_lost_go_on(stack: Stack) -> None:
    client = connect(stack, contacts=PAGES)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=LATENCY_S)
    with Redis.from_url(stack.redis.url) as redis:
        paths = [client.start("contacts", {"page_size": 1}) for _ in range(4)]
        redis.flushall()

    ended = [client.finished(path) for path in paths]

    assert [job["progress"]["records"] for job in ended] == [PAGES] * len(paths)
    assert {job["resumes"] for job in ended} == {0}
