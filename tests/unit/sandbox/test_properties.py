"""The definitions of properties: what a reader learns before it asks for values."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.registry import RECORD_TYPES

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
BASE = "/crm/properties/2026-09"
DATED = tuple(name for name, each in RECORD_TYPES.items() if each.dated_number)


@pytest.fixture
def everything(hubspot: HubSpot) -> HubSpot:
    names = ("contacts", "companies", "deals", "engagements", "tickets", "products", "line_items", "quotes", "leads")
    records = dict.fromkeys((*names, "communications", "cars"), 200)
    hubspot.add_account(8, records=records, custom_objects=("cars",), rate_limit=0)
    return hubspot


def defined(page: Page, type_: str, query: str = "", *, hub_id: int = 99) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in page(f"{BASE}/{type_}{query}", hub_id=hub_id)["results"]}


@pytest.mark.parametrize("version", ["/crm/properties/2026-09", "/crm/properties/2026-03", "/crm/v3/properties"])
def test_the_properties_that_are_described_are_those_that_can_be_asked_for(version: str, page: Page) -> None:
    names = [each["name"] for each in page(f"{version}/contacts")["results"]]

    shown = page(f"/crm/objects/2026-09/contacts?limit=1&properties={','.join(names)}")["results"][0]

    assert names
    assert set(shown["properties"]) == set(names)


@pytest.mark.parametrize("type_", [*DATED, "p_cars", "p8_cars", "2-1001", "0-46"])
def test_every_type_has_definitions_for_all_that_its_records_hold(type_: str, everything: HubSpot, page: Page) -> None:
    names = defined(page, type_, hub_id=8)

    shown = page(f"/crm/objects/2026-09/{type_}?limit=50&properties={','.join(names)}", hub_id=8)["results"]

    assert len(names) > 5
    assert {name for each in shown for name in each["properties"]} == set(names)


@pytest.mark.parametrize(
    ("type_", "name", "expected"),
    [
        ("deals", "amount", ("number", "number")),
        ("deals", "closedate", ("datetime", "date")),
        ("deals", "dealstage", ("enumeration", "select")),
        ("contacts", "hs_email_optout", ("bool", "booleancheckbox")),
        ("contacts", "phone", ("string", "phonenumber")),
        ("contacts", "industry", ("string", "text")),
        ("companies", "industry", ("enumeration", "select")),
        ("notes", "hs_note_body", ("string", "html")),
        ("calls", "hs_call_duration", ("number", "number")),
        ("meetings", "hs_meeting_end_time", ("datetime", "date")),
        ("tickets", "hs_object_id", ("number", "number")),
        ("p_cars", "bought_at", ("datetime", "date")),
    ],
)
def test_a_property_has_hubspots_type(
    type_: str, name: str, expected: tuple[str, str], everything: HubSpot, page: Page
) -> None:
    found = defined(page, type_, hub_id=8)[name]

    assert (found["type"], found["fieldType"]) == expected


@pytest.mark.parametrize("type_", DATED)
def test_values_fit_the_types_that_are_told(type_: str, everything: HubSpot, page: Page) -> None:
    found = defined(page, type_, hub_id=8)
    records = page(f"/crm/objects/2026-09/{type_}?limit=100&properties={','.join(found)}", hub_id=8)["results"]
    values = [(found[name], value) for each in records for name, value in each["properties"].items() if value]

    for definition, value in values:
        if definition["type"] == "number":
            float(value)
        elif definition["type"] == "datetime":
            assert value.endswith("Z"), (definition["name"], value)
        elif definition["type"] in {"enumeration", "bool"} and definition["options"]:
            assert set(value.split(";")) <= {option["value"] for option in definition["options"]}


def test_a_definition_tells_whose_it_is_and_whether_hubspot_calculates_it(page: Page) -> None:
    found = defined(page, "contacts")

    assert (found["email"]["hubspotDefined"], found["$price"]["hubspotDefined"]) == (True, False)
    assert found["$price"]["createdUserId"] == "7"
    assert {name for name, each in found.items() if each["calculated"]} >= {"num_associated_deals"}
    assert found["hs_object_id"]["modificationMetadata"]["readOnlyValue"] is True
    owner = found["hubspot_owner_id"]
    assert (owner["externalOptions"], owner["referencedObjectType"], owner["options"]) == (True, "OWNER", [])


@pytest.mark.parametrize("level", ["sensitive", "highly_sensitive"])
def test_a_sensitive_property_is_described_only_to_those_who_ask_for_its_kind(
    level: str, hubspot: HubSpot, page: Page
) -> None:
    hubspot.accounts[99].change({f"{level}_properties": {"contacts": ["message", "passport"]}})

    assert {"message", "passport"}.isdisjoint(defined(page, "contacts"))
    asked = defined(page, "contacts", f"?dataSensitivity={level}")
    assert {name: each["dataSensitivity"] for name, each in asked.items()} == {"message": level, "passport": level}


def test_values_of_sensitive_properties_need_a_scope_in_the_dated_api_and_are_hidden_in_the_legacy_one(
    hubspot: HubSpot, get: Get, page: Page
) -> None:
    account, dated = hubspot.accounts[99], "/crm/objects/2026-09/contacts?limit=5&properties=email,message"
    legacy = "/contacts/v1/lists/all/contacts/all?property=email&property=message"
    account.change({"sensitive_properties": {"contacts": ["message"]}})

    refused = get(dated)
    shown = [each["properties"] for each in page(legacy)["contacts"]]
    account.change({"scopes": [*account.settings.scopes, "crm.objects.contacts.sensitive.read.v2"]})

    assert (refused.status, json.loads(refused.body)["category"]) == (403, "MISSING_SCOPES")
    assert all(set(each) == {"email"} for each in shown)
    assert all(each["properties"]["message"] for each in page(dated)["results"])
    assert all(set(each["properties"]) == {"email"} for each in page(legacy)["contacts"])


def test_generated_properties_are_defined_with_the_types_that_their_values_have(hubspot: HubSpot, page: Page) -> None:
    hubspot.add_account(8, records={"deals": 60}, more_properties={"deals": 12})
    found = {
        name: each
        for name, each in defined(page, "deals", hub_id=8).items()
        if name.startswith("custom_property_of_ours_0")
    }

    assert {each["type"] for each in found.values()} == {"string", "number", "date", "datetime", "bool", "enumeration"}
    assert not any(each["hubspotDefined"] for each in found.values())
    records = page(f"/crm/objects/2026-09/deals?limit=60&properties={','.join(found)}", hub_id=8)["results"]
    assert {name for each in records for name, value in each["properties"].items() if value} >= set(found)
    chosen = next(each for each in found.values() if each["type"] == "enumeration")
    assert [each["value"] for each in chosen["options"]] == ["option_1", "option_2", "option_3"]


def test_a_kind_of_sensitivity_that_there_is_not_is_refused(get: Get) -> None:
    assert get(f"{BASE}/contacts?dataSensitivity=secret").status == 400


def test_a_removed_property_is_told_only_among_the_archived_ones(hubspot: HubSpot, page: Page) -> None:
    hubspot.accounts[99].change({"removed_properties": {"contacts": ["jobtitle"]}})

    assert "jobtitle" not in defined(page, "contacts")
    assert [*defined(page, "contacts", "?archived=true")] == ["jobtitle"]


def test_definitions_need_the_scope_of_their_type_or_that_of_its_definitions(hubspot: HubSpot, get: Get) -> None:
    statuses = {}
    for scope in ("crm.objects.deals.read", "crm.schemas.deals.read", "crm.objects.contacts.read"):
        hubspot.accounts[99].change({"scopes": [scope]})
        statuses[scope] = get(f"{BASE}/deals").status

    assert [*statuses.values()] == [200, 200, 403]


def test_an_unknown_type_has_no_definitions(get: Get) -> None:
    answer = get(f"{BASE}/unicorns")

    assert answer.status == 400
    assert json.loads(answer.body)["message"] == "Unable to infer object type from: unicorns"
