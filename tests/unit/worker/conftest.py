"""The workshop that an exporter is tried out in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from sandbox.portal.hubspot import HubSpot
from sandbox.portal.mounting import mount
from tests.fakes.clock import ManualClock
from tests.unit.worker.workshop import HUB, RECORDS, Workshop


@pytest.fixture
def shop() -> Iterator[Workshop]:
    clock = ManualClock()
    hubspot = HubSpot(clock=lambda: clock().timestamp())
    hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        mount(hubspot, mocked)
        yield Workshop(hubspot, clock)
