"""The dated object lists: string cursors, plain values, notes instead of engagements."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
BASE = "/crm/objects/2026-09"


@pytest.mark.parametrize("version", ["2026-03", "2026-09"])
@pytest.mark.parametrize(
    ("name", "number"), [("contacts", "0-1"), ("companies", "0-2"), ("deals", "0-3"), ("notes", "0-46")]
)
def test_a_type_has_a_name_and_a_number(version: str, name: str, number: str, page: Page) -> None:
    by_name, by_number = (page(f"/crm/objects/{version}/{each}")["results"] for each in (name, number))

    assert by_name == by_number
    assert by_name


def test_following_after_gives_every_record_once_and_the_last_page_has_no_paging(page: Page, hubspot: HubSpot) -> None:
    seen: list[str] = []
    after = ""

    while True:
        answer = page(f"{BASE}/contacts?limit=100&after={after}")
        seen += [each["id"] for each in answer["results"]]
        if "paging" not in answer:
            break
        after = answer["paging"]["next"]["after"]

    assert seen == [str(each) for each in hubspot.accounts[99].records["contacts"].ids()]


def test_after_is_the_last_id_plus_one_as_text(page: Page) -> None:
    answer = page(f"{BASE}/deals?limit=3")

    assert answer["paging"]["next"]["after"] == str(int(answer["results"][-1]["id"]) + 1)
    assert answer["paging"]["next"]["link"].endswith("?limit=3&after=" + answer["paging"]["next"]["after"])


def test_ten_records_come_unless_asked_for_more(page: Page) -> None:
    assert len(page(f"{BASE}/contacts")["results"]) == 10


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "limit=51&propertiesWithHistory=email"])
def test_a_limit_over_the_maximum_is_refused_not_clamped(query: str, get: Get) -> None:
    answer = get(f"{BASE}/contacts?{query}")

    assert answer.status == 400
    assert json.loads(answer.body)["category"] == "VALIDATION_ERROR"


def test_notes_are_the_engagements_of_type_note_with_the_same_ids_and_bodies(page: Page) -> None:
    engagements = page("/engagements/v1/engagements/paged?limit=250")["results"]
    bodies = {
        str(each["engagement"]["id"]): each["metadata"]["body"]
        for each in engagements
        if each["engagement"]["type"] == "NOTE"
    }

    notes = page(f"{BASE}/notes?limit=100&properties=hs_note_body")["results"]

    assert {each["id"]: each["properties"]["hs_note_body"] for each in notes} == bodies


def test_a_contact_is_the_same_in_both_apis(page: Page) -> None:
    names = ("email", "firstname", "company")
    [legacy, *_] = page("/contacts/v1/lists/all/contacts/all?" + "&".join(f"property={n}" for n in names))["contacts"]

    [dated, *_] = page(f"{BASE}/contacts?properties={','.join(names)}")["results"]

    assert dated["id"] == str(legacy["vid"])
    assert {n: dated["properties"][n] for n in names} == {n: legacy["properties"][n]["value"] for n in names}


def test_instants_are_written_in_iso_form(page: Page) -> None:
    [deal, *_] = page(f"{BASE}/deals?properties=closedate")["results"]

    assert deal["createdAt"] == deal["properties"]["createdate"]
    assert all(text.endswith("Z") and len(text) == 24 for text in (deal["updatedAt"], deal["properties"]["closedate"]))


def test_a_property_without_value_is_null_and_an_unknown_one_is_left_out(page: Page) -> None:
    contacts = page(f"{BASE}/contacts?limit=50&properties=$price,nonesuch&properties=email")["results"]

    prices = {contact["properties"]["$price"] for contact in contacts}
    assert prices == {None, "12.50 €"}
    assert all("nonesuch" not in contact["properties"] and contact["properties"]["email"] for contact in contacts)


def test_associations_are_shown_when_asked_for(page: Page) -> None:
    silent = page(f"{BASE}/contacts?limit=50")["results"]
    asked = page(f"{BASE}/contacts?limit=50&associations=companies")["results"]

    assert not any("associations" in contact for contact in silent)
    linked = [contact["associations"]["companies"]["results"][0] for contact in asked if "associations" in contact]
    assert {link["type"] for link in linked} == {"contact_to_company"}


def test_there_are_no_archived_records(page: Page) -> None:
    assert page(f"{BASE}/contacts?archived=true") == {"results": []}


def test_an_unknown_type_of_object_is_refused(get: Get) -> None:
    answer = get(f"{BASE}/unicorns")

    assert answer.status == 400
    assert json.loads(answer.body)["message"] == "Unable to infer object type from: unicorns"
