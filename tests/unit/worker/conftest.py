"""Fixtures: the workshop of an exporter, and the world of an account's token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import mount
from tests.fakes.clock import ManualClock
from tests.unit.worker.account_world import AccountWorld
from tests.unit.worker.workshop import HUB, RECORDS, Workshop


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    """Yield a network on which only what a test mounts answers."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def shop(mocked: responses.RequestsMock) -> Workshop:
    clock = ManualClock()
    hubspot = HubSpot(clock=lambda: clock().timestamp())
    hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0)
    mount(hubspot, mocked)
    return Workshop(hubspot, clock)


@pytest.fixture
def world(mocked: responses.RequestsMock) -> AccountWorld:
    return AccountWorld.mounted(mocked)
