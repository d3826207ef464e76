"""Reading records by their ids."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Request

Page = Callable[..., dict[str, Any]]
Read = Callable[..., Answer]
BASE = "/crm/objects/2026-09"


@pytest.fixture
def read(hubspot: HubSpot) -> Read:
    records = {"contacts": 250, "engagements": 200, "tickets": 20, "cars": 20}
    hubspot.add_account(7, records=records, custom_objects=("cars",), rate_limit=0)
    token = hubspot.issue_token(7).value

    def ask(type_: str, ids: list[Any], *, query: str = "", version: str = BASE, **more: object) -> Answer:
        body = json.dumps({"inputs": [{"id": each} for each in ids], **more}).encode()
        headers = {"authorization": f"Bearer {token}"}
        return hubspot.answer(Request.of("POST", f"{version}/{type_}/batch/read{query}", headers=headers, body=body))

    return ask


def results(answer: Answer) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(answer.body)["results"]}


@pytest.mark.parametrize("version", [BASE, "/crm/objects/2026-03", "/crm/v3/objects"])
@pytest.mark.parametrize(
    ("type_", "names"), [("contacts", "email"), ("0-46", "hs_note_body"), ("tickets", "subject"), ("p7_cars", "name")]
)
def test_records_are_those_of_the_list(type_: str, names: str, version: str, page: Page, read: Read) -> None:
    listed = page(f"{BASE}/{type_}?limit=20&properties={names},nonesuch", hub_id=7)["results"]

    answer = read(type_, [each["id"] for each in listed], properties=[names, "nonesuch"], version=version)

    assert answer.status == 200
    assert results(answer) == {each["id"]: each for each in listed}
    body = json.loads(answer.body)
    assert list(body) == ["status", "results", "startedAt", "completedAt"]
    assert body["status"] == "COMPLETE"


def test_the_order_is_not_that_of_the_question_and_nothing_comes_twice(hubspot: HubSpot, read: Read) -> None:
    asked = [str(each) for each in hubspot.accounts[7].records["contacts"].ids(limit=30)]

    told = list(results(read("contacts", [*asked, *asked])))

    assert sorted(told) == sorted(asked)
    assert told not in (asked, asked[::-1])
    assert len(json.loads(read("contacts", [*asked, *asked]).body)["results"]) == 30


def test_ids_that_are_not_there_are_named_by_207(hubspot: HubSpot, read: Read) -> None:
    contacts = hubspot.accounts[7].records["contacts"]
    first, second, *_ = contacts.ids()
    contacts.delete([second])

    answer = read("contacts", [str(first), str(second), 1, "abc"])

    body = json.loads(answer.body)
    assert answer.status == 207
    assert list(results(answer)) == [str(first)]
    assert (body["status"], body["numErrors"]) == ("COMPLETE", 1)
    [error] = body["errors"]
    assert (error["status"], error["category"]) == ("error", "OBJECT_NOT_FOUND")
    assert error["context"] == {"ids": [str(second), "1", "abc"]}
    assert error["message"].startswith("Could not get some CONTACT objects, they may be deleted or not exist.")


def test_an_engagement_of_another_kind_is_not_there(hubspot: HubSpot, read: Read, page: Page) -> None:
    call = page(f"{BASE}/calls?limit=1", hub_id=7)["results"][0]["id"]

    assert read("notes", [call]).status == 207
    assert list(results(read("calls", [call]))) == [call]


def test_associations_are_not_to_be_had(hubspot: HubSpot, read: Read, page: Page) -> None:
    note = page(f"{BASE}/notes?associations=contacts", hub_id=7)["results"][0]
    assert "associations" in note

    assert "associations" not in results(read("notes", [note["id"]], query="?associations=contacts"))[note["id"]]


def test_history_comes_when_asked_for(hubspot: HubSpot, read: Read, page: Page) -> None:
    listed = page(f"{BASE}/contacts?limit=5&propertiesWithHistory=email,createdate", hub_id=7)["results"]

    answer = read("contacts", [each["id"] for each in listed], propertiesWithHistory=["email", "createdate"])

    assert results(answer) == {each["id"]: each for each in listed}


@pytest.mark.parametrize(("count", "more"), [(101, {}), (51, {"propertiesWithHistory": ["email"]})])
def test_a_batch_that_is_too_large_is_refused(count: int, more: dict[str, Any], hubspot: HubSpot, read: Read) -> None:
    ids = hubspot.accounts[7].records["contacts"].ids(limit=count)

    assert json.loads(read("contacts", ids, **more).body)["category"] == "VALIDATION_ERROR"
    assert read("contacts", ids[1:], **more).status == 200


def test_contacts_are_read_by_their_address(hubspot: HubSpot, read: Read, page: Page) -> None:
    listed = page(f"{BASE}/contacts?limit=10&properties=email", hub_id=7)["results"]
    addresses = [each["properties"]["email"] for each in listed]

    answer = read("contacts", [*addresses, "nobody.501@example.test"], properties=["email"], idProperty="email")

    assert answer.status == 207
    assert results(answer) == {each["id"]: each for each in listed}
    assert json.loads(answer.body)["errors"][0]["context"] == {"ids": ["nobody.501@example.test"]}


@pytest.mark.parametrize(("type_", "name"), [("contacts", "firstname"), ("tickets", "email")])
def test_a_property_that_names_no_record_is_refused(type_: str, name: str, read: Read) -> None:
    answer = read(type_, ["1"], idProperty=name)

    assert (answer.status, json.loads(answer.body)["category"]) == (400, "VALIDATION_ERROR")


def test_what_is_archived_is_read_when_asked_for_and_nothing_else(
    hubspot: HubSpot, clock: ManualClock, read: Read
) -> None:
    contacts = hubspot.accounts[7].records["contacts"]
    first, second, *_ = contacts.ids()
    contacts.delete([first], at_ms=int(clock() * 1000))

    answer = read("contacts", [first, second], query="?archived=true")

    assert answer.status == 207
    [found] = results(answer).values()
    assert (found["id"], found["archived"]) == (str(first), True)
    assert found["archivedAt"] == "2027-01-15T08:00:00.000Z"


def test_a_batch_needs_the_scope_of_its_type_and_counts_as_a_call(hubspot: HubSpot, read: Read) -> None:
    account = hubspot.accounts[7]
    read("contacts", ["1"])
    assert dict(account.counters.by_type) == {"batch_read": 1}
    assert account.meter.recent(at=hubspot.clock(), interval_s=10) == 1

    account.change({"scopes": ["crm.objects.contacts.read"]})

    assert read("emails", ["1"]).status == 403
    assert read("tickets", ["1"]).status == 403


def test_a_body_that_is_none_is_refused(hubspot: HubSpot) -> None:
    headers = {"authorization": f"Bearer {hubspot.issue_token(99).value}"}

    answer = hubspot.answer(Request.of("POST", f"{BASE}/contacts/batch/read", headers=headers, body=b"{"))

    assert (answer.status, json.loads(answer.body)["category"]) == (400, "VALIDATION_ERROR")
