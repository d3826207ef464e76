"""Beside the README's table (test_both_apis.py): selections that no address holds, more associations, other times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import responses
from pydantic import SecretStr

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import mount
from tests.both_apis import source
from worker.export.interfaces import PageQuery
from worker.records.crm_api import CrmApi
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, ExportType

HUB = 7
GIVEN_NO_LONGER = {"profile-token", "identity-profiles", "form-submissions"}
LONG = tuple(f"custom_property_with_a_long_name_{number:04}" for number in range(450))
SOURCES = {f"properties.*.{name}" for name in ("timestamp", "source", "sourceId", "versions")}


@pytest.fixture
def hubspot() -> Iterator[HubSpot]:
    portal = HubSpot()
    portal.add_account(
        HUB,
        records={"contacts": 40, "companies": 40, "deals": 40, "line_items": 200, "tickets": 10},
        links={"deals": {"contacts": 250, "line_items": 130}, "contacts": {"companies": 120}},
        long_history=True,
        merged_records=True,
        more_properties={"contacts": 12},
        rate_limit=0,
    )
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        mount(portal, mocked)
        yield portal


@pytest.mark.parametrize(
    ("export_type", "query", "differing"),
    [
        (CONTACTS, {"properties": ("email", "createdate", "notes_last_contacted", "unknown")}, GIVEN_NO_LONGER),
        (CONTACTS, {"properties": ()}, GIVEN_NO_LONGER),
        (CONTACTS, {"properties": ("lifecyclestage",), "history": ("lifecyclestage",)}, GIVEN_NO_LONGER),
        (COMPANIES, {}, SOURCES),
        (COMPANIES, {"properties": ("domain", "createdate")}, SOURCES),
        (COMPANIES, {"properties": ("name", "createdate"), "history": ("createdate", "name")}, set()),
        (DEALS, {}, SOURCES),
        (DEALS, {"properties": ("closedate",), "associations": ("contacts", "line_items")}, SOURCES),
        (COMPANIES, {"properties": (*LONG, "name"), "history": ("name",)}, set()),
        (CONTACTS, {"properties": (*LONG, "email", "createdate"), "associations": ("companies",)}, GIVEN_NO_LONGER),
        (DEALS, {"properties": (*LONG, "amount"), "associations": ("line_items",)}, SOURCES),
        (DEALS, {"history": ("dealname", "amount")}, set()),
    ],
)
def test_records_are_equal_but_for_what_is_told(
    hubspot: HubSpot, export_type: ExportType, query: dict[str, Any], differing: set[str]
) -> None:
    old, new = (records_of(hubspot, export_type, api, **query) for api in CrmApi)
    assert len(old) == len(new) == 40
    found = {path for before, after in zip(old, new, strict=True) for path in differences(before, after)}
    assert found - ODD_NAMES <= differing
    assert differing <= found | {"form-submissions"}


ODD_NAMES = {"properties.custom.field", "properties.$price"}  # which the stand-in gives where nothing is asked for


def test_generated_properties_of_all_types_are_equal_where_it_is_known_which_are_times(hubspot: HubSpot) -> None:
    names = tuple(f"custom_property_of_ours_{number:04}" for number in range(1, 13))
    times = frozenset(name for name in names if int(name[-4:]) % 6 in {2, 3})
    old, new = (records_of(hubspot, CONTACTS, api, properties=(*names, *LONG), time_properties=times) for api in CrmApi)
    found = {path for before, after in zip(old, new, strict=True) for path in differences(before, after)}
    assert found == GIVEN_NO_LONGER


def test_contacts_are_equal_where_no_properties_are_named(hubspot: HubSpot) -> None:
    old, new = (records_of(hubspot, CONTACTS, api) for api in CrmApi)
    found = {path for before, after in zip(old, new, strict=True) for path in differences(before, after)}
    assert found == GIVEN_NO_LONGER | ODD_NAMES


def records_of(hubspot: HubSpot, export_type: ExportType, api: CrmApi, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    client = source()
    token, records = SecretStr(hubspot.issue_token(HUB).value), list[dict[str, Any]]()
    asked = PageQuery(export_type=export_type, count=30, offset=None, hub_id=HUB, api=api, **query)
    while True:
        page = client.fetch_page(asked, token).page
        records += json.loads(page.body)[OBJECT_TYPES[export_type].page.list_key]
        if not page.has_more:
            return records
        asked = replace(asked, offset=page.offset)


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Name the fields that are not equal; those of properties whichever it is."""
    for name in {*old, *new} - {"properties"}:
        if old.get(name, ...) != new.get(name, ...):
            yield name
    before, after = old["properties"], new["properties"]
    yield from (f"properties.{name}" for name in before.keys() ^ after.keys())
    for name in before.keys() & after.keys():
        fields = {*before[name], *after[name]}
        yield from (
            f"properties.*.{each}" for each in fields if before[name].get(each, ...) != after[name].get(each, ...)
        )
