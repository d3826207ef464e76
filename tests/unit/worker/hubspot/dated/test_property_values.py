"""Values of properties in the legacy shapes: milliseconds where they are times, and their history."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.hubspot.dated.format import to_page
from worker.hubspot.dated.lists import DatedListPage
from worker.hubspot.dated.objects import read_list
from worker.hubspot.dated.writing import Writing
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType

AT, AT_MS = "2026-01-09T00:00:00Z", "1767916800000"
LATER, LATER_MS = "2026-03-01T10:00:00.250Z", 1772359200250


def record_of(
    export_type: ExportType,
    properties: dict[str, Any] | None = None,
    *,
    of: dict[str, Any] | None = None,
    **writing: Any,  # noqa: ANN401 - of Writing
) -> dict[str, Any]:
    record = {"id": "5", "properties": properties or {}, "createdAt": AT, "archived": False} | (of or {})
    listed = read_list(json.dumps({"results": [record]}).encode())
    page = DatedListPage(records=listed.records, last_id=listed.last_id)
    known = OBJECT_TYPES[export_type]
    written = to_page(export_type, page, Writing(dated=known.dated, **writing))
    (found,) = json.loads(written.body)[known.page.list_key]
    assert isinstance(found, dict)
    return found


def value_of(name: str, value: object, **writing: Any) -> object:  # noqa: ANN401 - of Writing
    return record_of(DEALS, {name: value}, **writing)["properties"][name]["value"]


@pytest.mark.parametrize(
    "name",
    [
        "createdate",
        "closedate",
        "lastmodifieddate",
        "hs_v2_date_entered_appointmentscheduled",
        "hs_lifecyclestage_lead_date",
        "hs_analytics_last_timestamp",
    ],
)
def test_hubspot_s_own_times_are_milliseconds_as_the_legacy_lists_have_them(name: str) -> None:
    assert value_of(name, AT) == AT_MS
    assert value_of(name, "2026-01-09") == AT_MS


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (AT, AT_MS),
        ("2026-01-09", AT_MS),
        ("2026-01-09T01:00:00.000+01:00", AT_MS),
        (AT_MS, AT_MS),
        (int(AT_MS), AT_MS),
        ("", ""),
        ("soon", "soon"),
        ("2026-13-45", "2026-13-45"),
        ("2026-01-09 or later", "2026-01-09 or later"),
        ("20260109", "20260109"),
    ],
)
def test_a_property_that_is_known_to_be_a_time_is_one_where_it_reads_as_one(value: object, written: str) -> None:
    assert value_of("signed_at", value, times=frozenset({"signed_at"})) == written


@pytest.mark.parametrize("name", ["birthday", "description", "date_of_birth", "my_createdate"])
def test_a_text_that_looks_like_a_time_stays_one(name: str) -> None:
    assert value_of(name, "2026-01-09") == "2026-01-09"
    assert value_of(name, AT) == AT


def test_only_what_was_asked_for_is_there_in_whatever_letters() -> None:
    given = {"Amount": "5", "createdate": AT, "hs_object_id": "5", "dealname": None}
    asked = record_of(DEALS, given, names=frozenset({"amount", "dealname", "unknown"}))["properties"]
    assert [*asked] == ["Amount"]
    assert [*record_of(DEALS, given)["properties"]] == ["Amount", "createdate", "hs_object_id"]
    assert record_of(DEALS, given, names=frozenset())["properties"] == {}


# History


VERSIONS = [
    {"value": "won", "timestamp": LATER, "sourceType": "CRM_UI", "sourceId": "userId:7", "sourceLabel": "Ada"},
    {"value": "open", "timestamp": AT, "sourceType": "API", "updatedByUserId": 7},
]


def with_history(export_type: ExportType, versions: object, value: object = "won", name: str = "stage") -> Any:  # noqa: ANN401
    properties = {} if value == "absent" else {name: value}
    return record_of(export_type, properties, of={"propertiesWithHistory": {name: versions}})["properties"].get(name)


def test_contacts_have_their_history_as_the_legacy_list_has_it() -> None:
    assert with_history(CONTACTS, VERSIONS) == {
        "value": "won",
        "versions": [
            {
                "value": "won",
                "source-type": "CRM_UI",
                "source-id": "userId:7",
                "source-label": "Ada",
                "timestamp": LATER_MS,
                "selected": False,
            },
            {
                "value": "open",
                "source-type": "API",
                "source-id": None,
                "source-label": None,
                "timestamp": int(AT_MS),
                "selected": False,
            },
        ],
    }
    assert record_of(CONTACTS, {"stage": "won"})["properties"] == {"stage": {"value": "won"}}


@pytest.mark.parametrize("export_type", [COMPANIES, DEALS])
def test_companies_and_deals_have_the_source_of_a_value_with_its_history(export_type: ExportType) -> None:
    assert with_history(export_type, VERSIONS) == {
        "value": "won",
        "timestamp": LATER_MS,
        "source": "CRM_UI",
        "sourceId": "userId:7",
        "versions": [
            {
                "name": "stage",
                "value": "won",
                "timestamp": LATER_MS,
                "source": "CRM_UI",
                "sourceId": "userId:7",
                "sourceVid": [],
            },
            {"name": "stage", "value": "open", "timestamp": int(AT_MS), "source": "API", "sourceVid": []},
        ],
    }
    without = record_of(export_type, {"stage": "won"})["properties"]
    assert without == {"stage": {"value": "won", "versions": []}}


def test_a_history_comes_newest_first_and_its_times_are_milliseconds_too() -> None:
    versions = [{"value": AT, "timestamp": AT}, {"value": LATER, "timestamp": LATER}]
    given = with_history(DEALS, versions, value=LATER, name="closedate")
    assert [each["value"] for each in given["versions"]] == [str(LATER_MS), AT_MS]
    assert given["timestamp"] == LATER_MS


@pytest.mark.parametrize(("value", "written"), [("absent", "won"), (None, "")])
def test_a_property_without_a_value_that_has_a_history_keeps_it(value: object, written: str) -> None:
    given = with_history(DEALS, VERSIONS, value=value)
    assert (given["value"], len(given["versions"])) == (written, 2)


@pytest.mark.parametrize("odd", [None, {}, "x", 5])
def test_a_history_that_is_none_costs_no_value(odd: object) -> None:
    assert with_history(DEALS, odd) == {"value": "won", "versions": []}


def test_an_odd_value_of_a_history_stays_as_it_came() -> None:
    given = with_history(DEALS, ["x", {"value": 5, "timestamp": "soon"}])
    assert given["versions"][0] == "x"
    assert (given["versions"][1]["value"], given["versions"][1]["timestamp"]) == ("5", "soon")
    assert with_history(CONTACTS, [None])["versions"] == [None]


# Records


def test_a_portal_is_named_where_it_is_known() -> None:
    assert record_of(CONTACTS, hub_id=99)["portal-id"] == 99
    assert [record_of(each, hub_id=99)["portalId"] for each in (COMPANIES, DEALS)] == [99, 99]
    assert record_of(NOTES, hub_id=99)["engagement"]["portalId"] == 99
    assert "portal-id" not in record_of(CONTACTS)


@pytest.mark.parametrize(
    ("vids", "merged"), [("5;7;9", [7, 9]), ("5", []), (None, []), ("", []), ("9; 5", [9]), ("x;5", ["x"]), (5, [])]
)
def test_contacts_name_those_that_were_merged_into_them(vids: object, merged: list[object]) -> None:
    contact = record_of(CONTACTS, {"hs_all_contact_vids": vids}, names=frozenset())
    assert (contact["merged-vids"], contact["properties"]) == (merged, {})


def test_companies_name_their_further_domains_and_on_demand_those_that_were_merged_into_them() -> None:
    given = {"hs_additional_domains": "a.test; b.test", "hs_merged_object_ids": "7;8"}
    company = record_of(COMPANIES, given, names=frozenset(), merges=True)
    assert company["additionalDomains"] == ["a.test", "b.test"]
    assert company["mergeAudits"] == [{"mergedCompanyId": 7}, {"mergedCompanyId": 8}]
    assert (company["properties"], company["stateChanges"]) == ({}, [])
    plain = record_of(COMPANIES, given)
    assert plain["mergeAudits"] == []


@pytest.mark.parametrize("archived", [True, False])
def test_what_was_deleted_says_so(archived: bool) -> None:  # noqa: FBT001 - a parameter of the test
    of = {"archived": archived}
    assert [record_of(each, of=of)["isDeleted"] for each in (COMPANIES, DEALS)] == [archived, archived]
    assert record_of(CONTACTS, of=of).get("isDeleted", False) is archived


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://app.hubspot.com/contacts/99/record/0-1/5", "https://app.hubspot.com/contacts/99/contact/5"),
        ("https://app-eu1.hubspot.com/contacts/99/contact/5", "https://app-eu1.hubspot.com/contacts/99/contact/5"),
        (5, 5),
    ],
)
def test_the_page_of_a_contact_is_where_the_legacy_list_says(url: object, written: object) -> None:
    assert record_of(CONTACTS, of={"url": url})["profile-url"] == written


def test_associations_stand_in_a_shape_that_knows_none_only_where_they_are_asked_for() -> None:
    of = {"associations": {"line items": {"results": [{"id": "8"}, {"id": "8"}]}}}
    assert record_of(CONTACTS, of=of, associations=("line_items",))["associations"] == {"line_items": [8]}
    assert record_of(COMPANIES, associations=("deals",))["associations"] == {"deals": []}
    assert "associations" not in record_of(CONTACTS, of=of)
