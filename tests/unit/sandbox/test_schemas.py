"""The schemas of custom objects: how a reader finds the types that an account defines itself."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
BASE = "/crm-object-schemas/2026-09/schemas"


@pytest.fixture
def owner_of_cars(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(8, custom_objects=("cars", "test_drives"), records={"cars": 30})
    return hubspot


def test_an_account_has_no_types_of_objects_of_its_own(page: Page) -> None:
    assert page("/crm/v3/schemas") == {"results": []}


def test_a_schema_tells_every_name_of_its_type(owner_of_cars: HubSpot, page: Page) -> None:
    cars, drives = page(BASE, hub_id=8)["results"]

    assert (cars["name"], cars["fullyQualifiedName"], cars["objectTypeId"]) == ("cars", "p8_cars", "2-1001")
    assert cars["labels"] == {"singular": "Car", "plural": "Cars"}
    assert drives["objectTypeId"] == "2-1002"
    for name in ("p8_cars", "p_cars", "2-1001"):
        assert page(f"/crm/objects/2026-09/{name}", hub_id=8)["results"]
        assert page(f"{BASE}/{name}", hub_id=8) == cars


def test_a_schema_contains_the_definitions_and_the_associations_of_its_type(owner_of_cars: HubSpot, page: Page) -> None:
    [cars, _] = page(BASE, hub_id=8)["results"]
    bare = page(f"{BASE}?includePropertyDefinitions=false&includeAssociationDefinitions=false", hub_id=8)["results"][0]

    assert cars["properties"] == page("/crm/properties/2026-09/2-1001", hub_id=8)["results"]
    assert {(each["fromObjectTypeId"], each["toObjectTypeId"]) for each in cars["associations"]} >= {
        ("2-1001", "0-1"),
        ("0-1", "2-1001"),
    }
    assert (bare["properties"], bare["associations"]) == ([], [])


def test_no_schema_has_been_archived(owner_of_cars: HubSpot, page: Page) -> None:
    assert page(f"{BASE}?archived=true", hub_id=8) == {"results": []}


@pytest.mark.parametrize("name", ["contacts", "0-1", "bikes", "2-1003"])
def test_there_is_no_schema_of_a_type_that_is_not_the_accounts_own(name: str, owner_of_cars: HubSpot, get: Get) -> None:
    answer = get(f"{BASE}/{name}", hub_id=8)

    assert (answer.status, json.loads(answer.body)["category"]) == (404, "OBJECT_NOT_FOUND")


def test_schemas_need_a_scope_that_an_account_without_custom_objects_has_not_granted(
    owner_of_cars: HubSpot, get: Get
) -> None:
    refused = get(BASE)

    assert (refused.status, json.loads(refused.body)["category"]) == (403, "MISSING_SCOPES")
    for scope, status in (("crm.schemas.custom.read", 200), ("crm.objects.custom.read", 200), ("oauth", 403)):
        owner_of_cars.accounts[99].change({"scopes": [scope]})
        assert get(BASE).status == status


def test_one_accounts_types_are_unknown_to_another(owner_of_cars: HubSpot, get: Get) -> None:
    assert get("/crm/objects/2026-09/2-1001", hub_id=8).status == 200
    assert get("/crm/objects/2026-09/2-1001", hub_id=99).status == 400
