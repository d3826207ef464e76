"""What made-up records say: everything a reader of HubSpot's JSON has to cope with."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Get = Callable[..., Answer]
PATHS = (
    "/contacts/v1/lists/all/contacts/all?count=100",
    "/companies/v2/companies/paged?limit=250&properties=name&properties=description",
    "/deals/v1/deal/paged?limit=250&includeAllProperties=true&includeAssociations=true",
    "/engagements/v1/engagements/paged?limit=250",
    "/crm/objects/2026-09/contacts?limit=100&associations=companies",
    "/crm/objects/2026-09/notes?limit=100&properties=hs_note_body&associations=contacts",
)


@pytest.fixture
def rich(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(
        1, records=dict.fromkeys(("contacts", "companies", "deals", "engagements"), 1000), rich=True, rate_limit=0
    )
    return hubspot


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_valid_json_in_utf8_without_leftover_slots(path: str, rich: HubSpot, get: Get) -> None:
    body = get(path, hub_id=1).body

    assert msgspec.json.decode(body) == json.loads(body.decode("utf-8"))
    assert b"{{" not in body


@pytest.mark.parametrize("path", PATHS)
def test_the_same_account_answers_the_same_bytes_in_every_run(path: str, get: Get, hubspot: HubSpot) -> None:
    hubspot.add_account(2, seed=7, records={"contacts": 300, "deals": 300, "engagements": 300}, rate_limit=0)
    first = get(path, hub_id=2).body
    hubspot.add_account(2, seed=7, records={"contacts": 300, "deals": 300, "engagements": 300}, rate_limit=0)

    assert get(path, hub_id=2).status == 401  # the old account's token
    token = hubspot.issue_token(2).value
    assert get(path, authorization=f"Bearer {token}").body == first


def test_text_comes_in_several_scripts_with_emoji_and_both_kinds_of_escapes(rich: HubSpot, get: Get) -> None:
    body = get(PATHS[0], hub_id=1).body.decode()

    expected = ("ü", "次回", "محمد", "👋🏽", "\u2028", '\\"', "\\\\", "\\n", "\\u0007", "\\u00fc", "\\ud8")
    assert [piece for piece in expected if piece not in body] == []


def test_some_records_have_names_with_dots_and_dollar_signs(rich: HubSpot, get: Get) -> None:
    contacts = json.loads(get(PATHS[0].replace("?", "?property=custom.field&property=$price&"), hub_id=1).body)
    odd = [each["properties"] for each in contacts["contacts"] if each["properties"]]

    assert odd
    assert all(set(properties) == {"custom.field", "$price"} for properties in odd)


def _engagements(get: Get) -> list[dict[str, Any]]:
    return list(json.loads(get(PATHS[3], hub_id=1).body)["results"])


def test_engagements_come_in_every_type_and_some_without_owner_or_creator(rich: HubSpot, get: Get) -> None:
    engagements = [each["engagement"] for each in _engagements(get)]

    assert {each["type"] for each in engagements} == {"NOTE", "EMAIL", "CALL", "TASK", "MEETING", "PUBLISHING_TASK"}
    assert {"ownerId" in each for each in engagements} == {True, False}
    assert {"createdBy" in each for each in engagements} == {True, False}


def test_some_engagements_have_bodies_of_ten_to_fifty_kilobytes(rich: HubSpot, get: Get) -> None:
    bodies = [each["metadata"].get("body") or each["metadata"].get("html") for each in _engagements(get)]

    assert max(map(len, bodies)) > 45_000
    assert sum(len(body) > 10_000 for body in bodies) >= 3


def test_a_link_leads_to_a_record_of_the_same_account(rich: HubSpot, get: Get) -> None:
    linked = {vid for each in _engagements(get) for vid in each["associations"]["contactIds"]}

    assert linked <= set(rich.accounts[1].records["contacts"].ids())


@pytest.mark.parametrize("readable", [True, False])
def test_the_text_of_emails_needs_a_scope_of_its_own(readable: bool, hubspot: HubSpot, get: Get) -> None:  # noqa: FBT001  # parametrised
    scopes = ("crm.objects.contacts.read", *(("sales-email-read",) if readable else ()))
    hubspot.add_account(1, records={"engagements": 100}, scopes=scopes)

    emails = [each["metadata"] for each in _engagements(get) if each["engagement"]["type"] == "EMAIL"]

    assert {"html" in email for email in emails} == {readable}
