"""A HubSpot with one account, number 99, and a way to ask it things."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Request


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hubspot(clock: ManualClock) -> HubSpot:
    hubspot = HubSpot(clock=clock)
    hubspot.add_account(99, records={"contacts": 250, "companies": 7, "deals": 30, "engagements": 200}, rate_limit=0)
    return hubspot


@pytest.fixture
def get(hubspot: HubSpot) -> Callable[..., Answer]:
    """GET with a live token of account 99, or of another one."""
    tokens = {99: hubspot.issue_token(99).value}

    def ask(target: str, *, hub_id: int = 99, **headers: str) -> Answer:
        token = tokens.get(hub_id) or tokens.setdefault(hub_id, hubspot.issue_token(hub_id).value)
        sent = {"authorization": f"Bearer {token}", **headers}
        return hubspot.answer(Request.of("GET", target, headers=sent))

    return ask


@pytest.fixture
def page(get: Callable[..., Answer]) -> Callable[..., dict[str, Any]]:
    """GET that has to succeed, decoded."""

    def ask(target: str, *, hub_id: int = 99) -> dict[str, Any]:
        answer = get(target, hub_id=hub_id)
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    return ask


@pytest.fixture
def search(hubspot: HubSpot, clock: ManualClock) -> Callable[..., Answer]:
    """Search in account 99, or another one, four times a second at most."""

    def ask(type_: str = "contacts", *, hub_id: int = 99, body: bytes = b"", **content: object) -> Answer:
        clock.advance(0.25)
        headers = {"authorization": f"Bearer {hubspot.issue_token(hub_id).value}"}
        sent = body or json.dumps(content).encode()
        return hubspot.answer(Request.of("POST", f"/crm/objects/2026-09/{type_}/search", headers=headers, body=sent))

    return ask
