"""`properties`, `associations`, `history` and `archived` of an export: what is stored, shown and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH, Json, Shim, problem
from worker.accounts.connection import TokenInfo
from worker.definitions.questions import CheckedProperties
from worker.records.enabled_types import EnabledTypes
from worker.rpc.requests import Plan, PlanExports

MANY = [f"property_{number:0>4}" for number in range(2000)]


@pytest.fixture
def shim() -> Iterator[Shim]:
    """Run a shim with all types; what is defined has to be asked for."""
    with serving(new_parts(), export_types=EnabledTypes.parse("*")) as shim:
        yield shim


def started(shim: Shim, body: Json, export_type: str = "contacts") -> Json:
    answer = shim.post(f"/export/{export_type}", body)
    assert answer.status_code == 202, answer.text
    data: Json = answer.json()["data"]
    return data


def test_what_is_wanted_of_records_is_stored_and_shown(shim: Shim) -> None:
    body = {"properties": ["email", "*"], "associations": ["0-2", "tickets"], "history": ["stage"], "archived": True}
    with shim.answering(CheckedProperties()):
        answer = shim.ask("POST", f"{BASE_PATH}/export/contacts", content=json.dumps(body | {"history": []}).encode())
    shown = answer.json()["data"]["request"]

    request = shim.jobs.all[-1].request
    assert request.properties == ("email", "*")
    assert (request.associations, request.history, request.archived) == (("companies", "tickets"), (), True)
    assert shown == {
        "limit": None,
        "page_size": 100,
        "offset": None,
        "params": {},
        "properties": ["email", "*"],
        "associations": ["companies", "tickets"],
        "archived": True,
    }


def test_who_asks_for_nothing_of_it_is_shown_nothing_of_it(shim: Shim) -> None:
    nothing: Json = {"properties": None, "associations": [], "history": None, "archived": False}

    assert started(shim, nothing)["request"] == {"limit": None, "page_size": 100, "offset": None, "params": {}}
    assert shim.jobs.all[-1].request.properties is None


def test_so_many_names_fit_and_no_more(shim: Shim) -> None:
    with shim.answering(CheckedProperties()) as asked:
        answer = shim.ask("POST", f"{BASE_PATH}/export/contacts", content=json.dumps({"properties": MANY}).encode())
    assert answer.status_code == 202, answer.text
    assert shim.jobs.all[-1].request.properties == tuple(MANY)
    assert asked.result().account_id == "a1"

    status, body = problem(shim.post("/export/contacts", {"properties": [*MANY, "one_more"]}))
    assert (status, body["message"]) == (400, "properties: must hold at most 2000 names")


def test_names_of_the_greatest_length_fit_in_a_body(shim: Shim) -> None:
    names = [f"{number:0>250}" for number in range(2000)]
    with shim.answering(CheckedProperties()):
        content = json.dumps({"properties": names}).encode()
        assert shim.ask("POST", f"{BASE_PATH}/export/contacts", content=content).status_code == 202
    assert shim.jobs.all[-1].request.properties == tuple(names)


def test_a_name_that_hubspot_does_not_define_is_refused_with_the_nearest(shim: Shim) -> None:
    with shim.answering(CheckedProperties(unknown={"emial": ("email",)})):
        content = json.dumps({"history": ["emial"]}).encode()
        answer = shim.ask("POST", f"{BASE_PATH}/export/contacts", content=content)

    assert problem(answer) == (
        400,
        {
            "success": False,
            "errno": 400,
            "message": "history: HubSpot does not define for contacts: emial (nearest: email)",
            "code": "unknown_properties",
        },
    )
    assert shim.jobs.all == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"properties": []}, "properties: must name at least one property, or * for all"),
        ({"properties": "email"}, "properties: must be a list of names"),
        ({"properties": ["email", 7]}, "properties: must be a list of names"),
        ({"properties": {"email": True}}, "properties: must be a list of names"),
        ({"properties": ["a", "b", "a"]}, "properties: names one more than once"),
        ({"properties": ["a", "b,c"]}, "properties: the name at place 1 must have 1 to 250 characters, without commas"),
        ({"properties": [""]}, "properties: the name at place 0 must have 1 to 250 characters"),
        ({"properties": ["x" * 251]}, "properties: the name at place 0 must have 1 to 250 characters"),
        ({"properties": ["a\nb"]}, "properties: the name at place 0 must have"),
        ({"properties": [" a"]}, "properties: the name at place 0 must have"),
        ({"history": ["*"]}, "history: must name properties, * is none"),
        ({"history": "email"}, "history: must be a list of names"),
        ({"associations": ["companies"] * 51}, "associations: must hold at most 50 names"),
        ({"associations": ["planets"]}, "associations: planets is no type of this account"),
        ({"archived": "yes"}, "archived: input should be a valid boolean"),
        ({"archived": None}, "archived: input should be a valid boolean"),
        (
            {"properties": ["*"], "params": {"property": "email"}},
            "properties, params.property: say the same, name only one of them",
        ),
        (
            {"properties": ["*"], "params": {"Properties": ["email"]}},
            "properties, params.Properties: say the same, name only one of them",
        ),
        (
            {"history": ["a"], "params": {"propertyMode": "value_and_history", "propertiesWithHistory": "b"}},
            "history, params.propertiesWithHistory: say the same, name only one of them; history, params.propertyMode",
        ),
        (
            {"associations": ["deals"], "params": {"associations": "companies"}},
            "associations, params.associations: say the same, name only one of them",
        ),
        (
            {"properties": ["email"], "params": {"a": ["b" * 10_000] * 7}},
            "params: must hold at most 65536 characters",
        ),
        ({"params": {"a": ["b" * 10_000] * 7}}, "body: must be at most 65536 bytes"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(shim: Shim, body: Json, message: str) -> None:
    status, answer = problem(shim.post("/export/contacts", body))

    assert (status, answer["code"]) == (400, "invalid_request")
    assert answer["message"].startswith(message)
    assert shim.jobs.all == []


@pytest.mark.parametrize("field", ["properties", "history"])
def test_the_legacy_list_of_engagements_takes_no_choice(shim: Shim, field: str) -> None:
    status, answer = problem(shim.post("/export/notes", {"api": "legacy", field: ["hs_note_body"]}))

    assert (status, answer["code"]) == (400, "invalid_request")
    assert answer["message"] == f"{field}: HubSpot's legacy list of notes takes no choice"
    assert shim.jobs.all == []


def test_owners_have_none_of_it_but_may_be_archived(shim: Shim) -> None:
    body = {"properties": ["*"], "associations": ["deals"], "history": ["email"]}

    status, answer = problem(shim.post("/export/owners", body))

    said = "properties: owners have none; associations: owners have none; history: owners have none"
    assert (status, answer["message"]) == (400, said)
    assert started(shim, {"archived": True}, "owners")["request"]["archived"] is True


def test_parameters_of_hubspots_own_go_through_beside_fields_that_say_something_else(shim: Shim) -> None:
    request = started(shim, {"properties": ["*"], "params": {"showListMemberships": "true"}})["request"]

    assert (request["params"], request["properties"]) == ({"showListMemberships": "true"}, ["*"])


def test_a_plan_is_made_of_what_is_wanted(shim: Shim) -> None:
    with shim.answering(Plan(exports=(), rate=None, facts=TokenInfo())) as asked:
        content = json.dumps({"properties": ["*"], "archived": True, "dry_run": True}).encode()
        answer = shim.ask("POST", f"{BASE_PATH}/export/tickets", content=content)

    assert answer.status_code == 200, answer.text
    question = asked.result().question
    assert isinstance(question, PlanExports)
    (planned,) = question.exports
    assert (planned.request.properties, planned.request.archived) == (("*",), True)


def test_a_key_tells_requests_apart_by_what_is_wanted(shim: Shim) -> None:
    def post(body: Json) -> int:
        content, headers = json.dumps(body).encode(), {"idempotency-key": "k1"}
        return shim.ask("POST", f"{BASE_PATH}/export/contacts", content=content, headers=headers).status_code

    assert [post({"properties": ["*"]}), post({"properties": ["*"]})] == [202, 200]
    assert [post({"properties": ["*"], "archived": True}), post({}), post({"associations": ["deals"]})] == [422] * 3
