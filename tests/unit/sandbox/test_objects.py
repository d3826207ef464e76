"""Every type of the dated API in one account: names, numbers, scopes and custom objects."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
BASE = "/crm/objects/2026-09"
NUMBERS = {
    "contacts": "0-1",
    "companies": "0-2",
    "deals": "0-3",
    "tickets": "0-5",
    "products": "0-7",
    "line_items": "0-8",
    "quotes": "0-14",
    "communications": "0-18",
    "tasks": "0-27",
    "notes": "0-46",
    "meetings": "0-47",
    "calls": "0-48",
    "emails": "0-49",
    "leads": "0-136",
}
KINDS = ("notes", "calls", "emails", "meetings", "tasks")
OWN = ("tickets", "products", "line_items", "quotes", "leads", "communications")
EVERY = dict.fromkeys(("contacts", "companies", "deals", "engagements", *OWN, "cars", "boats"), 40)


@pytest.fixture
def whole(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(7, records=EVERY, custom_objects=("cars", "boats"), rate_limit=0)
    return hubspot


@pytest.mark.parametrize("name", NUMBERS)
def test_a_type_is_listed_by_name_and_by_number_with_its_records(name: str, whole: HubSpot, page: Page) -> None:
    by_name, by_number = (page(f"{BASE}/{each}?limit=100", hub_id=7)["results"] for each in (name, NUMBERS[name]))

    account = whole.accounts[7]
    record_type = account.record_types[name]
    records = account.records[record_type.record_set]
    assert by_name == by_number
    assert [each["id"] for each in by_name] == [str(records.id_at(index)) for index in account.members(record_type)]
    assert len(by_name) == 40 or name in KINDS
    assert all(f"/record/{NUMBERS[name]}/{each['id']}" in each["url"] for each in by_name)


@pytest.mark.parametrize("alias", ["2-1001", "p_cars", "p7_cars"])
def test_a_custom_object_is_reached_by_its_number_and_its_qualified_names(
    alias: str, whole: HubSpot, page: Page
) -> None:
    found = page(f"{BASE}/{alias}?limit=100&properties=name,year", hub_id=7)["results"]

    assert [int(each["id"]) for each in found] == whole.accounts[7].records["cars"].ids()
    assert set(found[0]["properties"]) == {"name", "year", "hs_createdate", "hs_lastmodifieddate", "hs_object_id"}


def test_custom_objects_are_numbered_in_their_order_and_have_different_ids(whole: HubSpot, page: Page) -> None:
    cars, boats = (page(f"{BASE}/{each}?limit=100", hub_id=7)["results"] for each in ("2-1001", "2-1002"))

    assert cars[0]["url"].endswith(f"/2-1001/{cars[0]['id']}")
    assert len(boats) == 40
    assert [each["id"] for each in cars] != [each["id"] for each in boats]


@pytest.mark.parametrize("alias", ["cars", "2-1003", "p8_cars"])
def test_a_custom_object_by_its_plain_name_or_of_another_account_is_refused(
    alias: str, whole: HubSpot, get: Get
) -> None:
    whole.add_account(8, custom_objects=("cars",))

    answer = get(f"{BASE}/{alias}", hub_id=7)

    assert answer.status == 400
    assert json.loads(answer.body)["message"] == f"Unable to infer object type from: {alias}"


@pytest.mark.parametrize(
    ("granted", "status"),
    [
        (("crm.objects.contacts.read", "sales-email-read"), 200),
        (("crm.objects.contacts.read",), 403),
        (("sales-email-read",), 403),
    ],
)
def test_emails_need_a_scope_besides_that_of_contacts(
    granted: tuple[str, ...], status: int, whole: HubSpot, get: Get
) -> None:
    whole.accounts[7].change({"scopes": granted})

    answer = get(f"{BASE}/emails", hub_id=7)

    assert answer.status == status
    if status == 403:
        lacking = {"crm.objects.contacts.read", "sales-email-read"} - set(granted)
        [detail] = json.loads(answer.body)["errors"]
        assert set(detail["context"]["requiredGranularScopes"]) == lacking


@pytest.mark.parametrize(("alias", "scope"), [("tickets", "tickets"), ("2-1001", "crm.objects.custom.read")])
def test_a_type_without_its_scope_is_refused(alias: str, scope: str, whole: HubSpot, get: Get) -> None:
    whole.accounts[7].change({"scopes": ["oauth", "crm.objects.contacts.read"]})

    answer = get(f"{BASE}/{alias}", hub_id=7)

    assert answer.status == 403
    assert scope in json.loads(answer.body)["errors"][0]["context"]["requiredGranularScopes"]


def test_further_types_of_an_account_change_nothing_of_the_others(whole: HubSpot, get: Get) -> None:
    four = dict.fromkeys(("contacts", "companies", "deals", "engagements"), 40)
    whole.add_account(8, records=four, seed=7, rate_limit=0)
    whole.add_account(9, records={**four, "products": 3, "owners": 3}, seed=7, rate_limit=0)

    for path in (f"{BASE}/notes", "/deals/v1/deal/paged?includeAllProperties=true&includeAssociations=true"):
        one, other = (get(path, hub_id=hub_id).body.decode() for hub_id in (8, 9))
        assert one.replace('"portalId":8', '"portalId":9').replace("/contacts/8/", "/contacts/9/") == other


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"records": {"engagement": 1}}, "records"),
        ({"records": {"notes": 1}}, "records"),
        ({"records": {"boats": 1}}, "records"),
        ({"more_properties": {"boats": 1}}, "more_properties"),
        ({"links": {"notes": {"contacts": 1}}}, "links"),
        ({"links": {"deals": {"unicorns": 1}}}, "links"),
        ({"custom_objects": ("Cars!",)}, "custom_objects"),
    ],
)
def test_a_type_that_there_is_not_is_refused(options: dict[str, Any], field: str, hubspot: HubSpot) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}"):
        hubspot.add_account(8, **options)
