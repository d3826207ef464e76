"""An account that has everything: records of every type, and a custom object; and what HubSpot holds of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from sandbox.fake_hubspot.accounts import AccountOptions
from sandbox.seeding import seed
from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import ALL_TYPES, SHORT_LIVED
from tests.acceptance.test_syncs import start

EVERYTHING = replace(SHORT_LIVED, settings={**SHORT_LIVED.settings, **dict(ALL_TYPES), "HUBSPOT_API": "dated"})
"""Tests with these options form the group "portal"."""

IN_PORTAL = {"notes": "engagements"}
RECORDS = {
    "contacts": 230,
    "companies": 210,
    "deals": 220,
    "engagements": 420,
    "tickets": 240,
    "products": 120,
    "line_items": 310,
    "quotes": 101,
    "leads": 100,
    "communications": 20,
    "owners": 12,
    "cars": 205,
}
LISTED = ("contacts", "companies", "deals", "tickets", "products", "line_items", "quotes", "leads", "communications")
ACTIVITIES = ("calls", "emails", "meetings", "tasks")


def portal_of(stack: Stack, **options: Unpack[AccountOptions]) -> Client:
    """Connect an account that has records of every type, and one custom object."""
    client = connect(stack)
    usual: AccountOptions = {"records": RECORDS, "custom_objects": ("cars",), "rate_limit": 0}
    usual.update(options)
    seed(stack, client.account, **usual)
    return client


def cars(client: Client) -> str:
    return f"p{client.account.hub_id}_cars"


def all_types(client: Client) -> tuple[str, ...]:
    return (*LISTED, "notes", *ACTIVITIES, "owners", cars(client))


def name_in_portal(client: Client, export_type: str) -> str:
    return "cars" if export_type == cars(client) else IN_PORTAL.get(export_type, export_type)


def truth(client: Client, export_type: str) -> list[int]:
    """Return the ids that HubSpot has; the dated API has no list of engagements of undocumented kinds."""
    hubspot, hub = client.stack.hubspot_control, client.account.hub_id
    if export_type == "notes":
        return sorted(each for name in ("notes", *ACTIVITIES) for each in hubspot.record_ids(hub, name))
    return hubspot.record_ids(hub, name_in_portal(client, export_type))


def synced(client: Client, body: Json) -> Json:
    sync = client.finished(start(client, body))
    assert sync["status"] == "succeeded", sync["error"]
    return sync
