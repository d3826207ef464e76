"""Earlier values, generated, removed and merged properties: the same in both APIs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.more_properties import more_property_type

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
BASE = "/crm/objects/2026-09"
LEGACY = {
    "contacts": ("/contacts/v1/lists/all/contacts/all?count=100&propertyMode=value_and_history", "property", "vid"),
    "companies": ("/companies/v2/companies/paged?limit=100", "properties", "companyId"),
    "deals": ("/deals/v1/deal/paged?limit=100", "properties", "dealId"),
}
MORE = tuple(f"custom_property_of_ours_{number:04d}" for number in range(1, 601))


@pytest.fixture
def portal(hubspot: HubSpot) -> HubSpot:
    open_account(hubspot)
    return hubspot


def open_account(hubspot: HubSpot, **options: Any) -> None:  # noqa: ANN401  # settings of an account
    records = dict.fromkeys(("contacts", "companies", "deals", "tickets"), 100)
    hubspot.add_account(7, records=records, rate_limit=0, **options)


def legacy(page: Page, type_: str, names: tuple[str, ...], *, parameter: str = "") -> dict[str, dict[str, Any]]:
    """Return the records of a type by their ids as text."""
    path, usual, id_name = LEGACY[type_]
    asked = "&".join(f"{parameter or usual}={name}" for name in names)
    found = next(each for each in page(f"{path}&{asked}", hub_id=7).values() if isinstance(each, list))
    return {str(each[id_name]): each for each in found}


def dated(
    page: Page, type_: str, names: tuple[str, ...], *, parameter: str = "properties"
) -> dict[str, dict[str, Any]]:
    limit = 50 if parameter == "propertiesWithHistory" else 100
    found = page(f"{BASE}/{type_}?limit={limit}&{parameter}={','.join(names)}", hub_id=7)["results"]
    return {each["id"]: each for each in found}


def iso(ms: str | int) -> str:
    at = datetime.fromtimestamp(int(ms) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


NAMES = {
    "contacts": ("email", "createdate", "lifecyclestage"),
    "companies": ("name", "hs_lastmodifieddate", "lifecyclestage"),
    "deals": ("dealname", "closedate", "amount"),
}


@pytest.mark.parametrize("long_history", [False, True])
@pytest.mark.parametrize("type_", LEGACY)
def test_the_history_of_a_property_is_the_same_in_both_apis(
    type_: str,
    long_history: bool,  # noqa: FBT001  # parametrised
    hubspot: HubSpot,
    page: Page,
) -> None:
    open_account(hubspot, long_history=long_history)
    parameter = "" if type_ == "contacts" else "propertiesWithHistory"
    one = legacy(page, type_, NAMES[type_], parameter=parameter)

    for record_id, record in dated(page, type_, NAMES[type_], parameter="propertiesWithHistory").items():
        assert record["properties"].keys() >= {*NAMES[type_]}
        for name in NAMES[type_]:
            versions = one[record_id]["properties"][name]["versions"]
            history = record["propertiesWithHistory"][name]
            assert len(history) == len(versions) == 2 + long_history
            assert record["properties"][name] == history[0]["value"]
            for entry, version in zip(history, versions, strict=True):
                source = version.get("source") or version["source-type"]
                source_id = version.get("sourceId") or version.get("source-id")
                is_instant = name.endswith("date") and version["value"]
                assert entry["value"] == (iso(version["value"]) if is_instant else version["value"])
                assert (entry["timestamp"], entry["sourceType"]) == (iso(version["timestamp"]), source)
                assert entry.get("sourceId") == source_id
                assert entry.get("sourceLabel") == version.get("source-label", entry.get("sourceLabel"))


def test_a_long_history_names_sources_and_users_and_descends_in_time(hubspot: HubSpot, page: Page) -> None:
    open_account(hubspot, long_history=True)

    for record in dated(page, "tickets", ("subject",), parameter="propertiesWithHistory").values():
        latest, middle, first = record["propertiesWithHistory"]["subject"]
        assert latest["timestamp"] > middle["timestamp"] > first["timestamp"]
        assert (latest["sourceId"], latest["sourceLabel"], latest["updatedByUserId"]) == ("userId:7", "Zoë O'Brien", 7)
        assert (first["value"], first["sourceType"], first["sourceId"]) == ("", "IMPORT", "import-12")
        assert set(middle) == {"value", "timestamp", "sourceType"}


def test_a_history_that_there_is_not_is_left_out(portal: HubSpot, page: Page) -> None:
    for record in dated(page, "contacts", ("$price", "nonesuch"), parameter="propertiesWithHistory").values():
        assert set(record["propertiesWithHistory"]) == ({"$price"} if record["properties"]["$price"] else set())


@pytest.mark.parametrize("type_", LEGACY)
def test_generated_properties_are_the_same_in_both_apis(type_: str, hubspot: HubSpot, page: Page) -> None:
    open_account(hubspot, more_properties={type_: 600})
    names, kinds = MORE[-30:], set[str]()
    one = legacy(page, type_, (*names, "custom_property_of_ours_0601"))

    for record_id, record in dated(page, type_, (*names, "custom_property_of_ours_0601")).items():
        values = {name: value["value"] for name, value in one[record_id]["properties"].items()}
        assert set(record["properties"]) >= {*names}
        assert "custom_property_of_ours_0601" not in {*record["properties"], *values}
        for name in names:
            value, kind = record["properties"][name], more_property_type(name)
            kinds |= {f"{kind} {value is not None}"}
            if kind in {"date", "datetime"} and value is not None:
                written = iso(values[name])
                assert value == (written[:10] if kind == "date" else written)
                assert kind == "datetime" or written.endswith("T00:00:00.000Z")
            else:
                assert value == values.get(name)
    types = ("string", "number", "date", "datetime", "bool", "enumeration")
    assert kinds == {f"{kind} {known}" for kind in types for known in (True, False)}


def test_hundreds_of_properties_are_shown_at_once(hubspot: HubSpot, page: Page, get: Get) -> None:
    open_account(hubspot, more_properties={"contacts": 600}, rich=True)

    [first, *_] = page("/contacts/v1/lists/all/contacts/all", hub_id=7)["contacts"]
    [dated_first, *_] = dated(page, "contacts", MORE[:500]).values()  # an address holds no more names

    assert 380 < len(first["properties"]) < 480
    assert len([value for value in dated_first["properties"].values() if value is not None]) > 310
    assert len(get(f"{BASE}/contacts?limit=1", hub_id=7).body) < 1000


def test_numbers_and_flags_are_such(hubspot: HubSpot, page: Page) -> None:
    open_account(hubspot, more_properties={"tickets": 60})

    for record in dated(page, "tickets", MORE[:60]).values():
        for name, value in record["properties"].items():
            if value is not None and more_property_type(name) == "number":
                float(value)
            if value is not None and more_property_type(name) == "bool":
                assert value in {"true", "false"}


def test_only_generated_names_have_a_type_here() -> None:
    assert more_property_type("custom_property_of_ours_0600") == "string"
    assert more_property_type("custom_field") is more_property_type("email") is more_property_type("600") is None


def test_a_removed_property_is_gone_from_both_apis_and_comes_back(portal: HubSpot, page: Page, get: Get) -> None:
    before = get(f"{BASE}/contacts?properties=email,phone", hub_id=7).body
    portal.accounts[7].change({"removed_properties": {"contacts": ["email"]}})

    one, other = legacy(page, "contacts", ("email", "phone")), dated(page, "contacts", ("email", "phone"))

    assert {name for record in one.values() for name in record["properties"]} == {"phone"}
    assert not any("email" in record["properties"] for record in other.values())
    portal.accounts[7].change({"removed_properties": {}})
    assert get(f"{BASE}/contacts?properties=email,phone", hub_id=7).body == before


def test_a_property_may_appear_later(portal: HubSpot, page: Page) -> None:
    assert (
        "custom_property_of_ours_0001"
        not in next(iter(dated(page, "deals", ("custom_property_of_ours_0001",)).values()))["properties"]
    )

    portal.accounts[7].change({"more_properties": {"deals": 1}})

    assert (
        "custom_property_of_ours_0001"
        in next(iter(dated(page, "deals", ("custom_property_of_ours_0001",)).values()))["properties"]
    )


@pytest.mark.parametrize("merged", [False, True])
def test_merged_contacts_name_the_same_ids_in_both_apis(
    merged: bool,  # noqa: FBT001  # parametrised
    hubspot: HubSpot,
    page: Page,
) -> None:
    open_account(hubspot, merged_records=merged)
    one, seen = legacy(page, "contacts", ("email",)), set[int]()

    for record_id, record in dated(page, "contacts", ("hs_all_contact_vids",)).items():
        own, *others = record["properties"]["hs_all_contact_vids"].split(";")
        assert own == record_id
        assert [int(each) for each in others] == one[record_id]["merged-vids"]
        seen.add(len(others))
    assert seen == ({0, 1} if merged else {0})


@pytest.mark.parametrize("merged", [False, True])
def test_companies_name_their_domains_in_both_apis(
    merged: bool,  # noqa: FBT001  # parametrised
    hubspot: HubSpot,
    page: Page,
) -> None:
    open_account(hubspot, merged_records=merged)
    one, seen = legacy(page, "companies", ("name",)), set[int]()

    for record_id, record in dated(page, "companies", ("hs_additional_domains", "hs_merged_object_ids")).items():
        domains = record["properties"]["hs_additional_domains"]
        assert (domains.split(";") if domains else []) == one[record_id]["additionalDomains"]
        seen.add(len(one[record_id]["additionalDomains"]))
        assert record["properties"]["hs_merged_object_ids"] is None or merged
    assert seen == ({0, 1, 2} if merged else {0})


def test_a_body_is_valid_json_however_many_properties(hubspot: HubSpot, get: Get) -> None:
    open_account(hubspot, more_properties={"contacts": 600}, long_history=True, merged_records=True, rich=True)

    body = get("/contacts/v1/lists/all/contacts/all?count=100&propertyMode=value_and_history", hub_id=7).body

    assert b"{{" not in body
    assert len(json.loads(body)["contacts"]) == 100
