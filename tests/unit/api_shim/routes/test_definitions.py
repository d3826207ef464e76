"""`/types`, `/properties`, `/pipelines`, `/owners`: what is kept is shown, and the rest is asked of a worker."""

from __future__ import annotations

from dataclasses import fields

import pytest
from pydantic import BaseModel

from api_shim.responses.definitions import OptionView, OwnerView, PipelineView, PropertyView, StageView, TeamView
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.kept_definitions import CALLER, FACTS, HUB, connect, keep, keep_properties
from tests.unit.api_shim.shim import Json, Parts, Shim, mint, problem
from worker.accounts.connection import Fingerprint, TokenInfo
from worker.definitions.definition import CustomType, Option, Owner, Pipeline, PropertyDefinition, Stage, Team
from worker.definitions.lists import OWNERS, SCHEMAS, DefinitionList, Listed, ListKind
from worker.definitions.questions import Defined, ListDefinitions
from worker.errors import FatalHubSpotError, ReconnectRequiredError
from worker.jobs.status import JobError
from worker.records.registry import OBJECT_TYPES
from worker.records.types import CONTACTS, NOTES

CARS = CustomType(name="p62515_cars", type_id="2-123", short_name="cars", singular="Car", plural="Cars")
EMAIL = PropertyDefinition(
    name="email", label="E-mail", type="string", field_type="text", options=(Option(value="a", label="A"),)
)
ADA = Owner(id="7", email="ada@example.test", teams=(Team(id="1", name="Engines"),))
SALES = Pipeline(id="default", label="Sales", stages=(Stage(id="won", metadata={"isClosed": "true"}),))


def test_properties_are_asked_of_a_worker(shim: Shim) -> None:
    with shim.answering(Defined(listed=Listed(properties=(EMAIL,)))) as taken:
        answer = shim.get("/properties/contacts")

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "Properties found",
        "data": [
            {
                "name": "email",
                "label": "E-mail",
                "type": "string",
                "field_type": "text",
                "group": "",
                "description": "",
                "options": [{"value": "a", "label": "A", "hidden": False}],
                "calculated": False,
                "hidden": False,
                "hubspot_defined": False,
                "sensitivity": "non_sensitive",
                "kinds": [],
            }
        ],
    }
    assert taken.result().question == ListDefinitions(kind=ListKind.PROPERTIES, export_type=CONTACTS)
    assert (taken.result().account_id, taken.result().owner) == ("a1", "u1")


def test_properties_that_are_kept_for_the_portal_are_shown_without_a_worker(shim: Shim) -> None:
    connect(shim)
    keep_properties(shim, "contacts", "email", "phone")

    data = shim.get("/properties/contacts").json()["data"]

    assert [each["name"] for each in data] == ["email", "phone"]
    assert shim.rpc_requests.all == []


@pytest.mark.parametrize(
    "facts",
    [
        TokenInfo(hub_id=HUB + 1, scopes=FACTS.scopes),
        TokenInfo(hub_id=HUB, scopes=("oauth",)),
        TokenInfo(hub_id=HUB),
        TokenInfo(scopes=FACTS.scopes),
        TokenInfo(),
    ],
)
def test_what_is_kept_is_shown_to_nobody_whose_token_may_not_read_it(
    running: Running, parts: Parts, facts: TokenInfo
) -> None:
    connect(parts, facts=facts)
    keep_properties(parts, "contacts", "email")

    with running(export_wait_seconds=0.05) as shim:
        assert problem(shim.get("/properties/contacts"))[1]["code"] == "unavailable"


def test_what_is_known_of_an_earlier_token_is_not_enough(running: Running, parts: Parts) -> None:
    earlier = Fingerprint(grant="other", token="x")
    parts.connections.learn("a1", "u1", FACTS, fingerprint=earlier, at=parts.clock())
    keep_properties(parts, "contacts", "email")

    with running(export_wait_seconds=0.05) as shim:
        assert shim.get("/properties/contacts").status_code == 503


def test_after_ten_minutes_a_worker_is_asked_again(shim: Shim) -> None:
    connect(shim)
    keep_properties(shim, "contacts", "email")
    shim.clock.advance(601)

    with shim.answering(Defined(listed=Listed(properties=(EMAIL,)))):
        assert shim.get("/properties/contacts").status_code == 200


def test_without_a_worker_definitions_are_not_available(running: Running) -> None:
    with running(export_wait_seconds=0.05) as shim:
        for path in ("/types", "/properties/contacts", "/pipelines/deals", "/owners"):
            answer = shim.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
            assert answer.headers["retry-after"] == "2"


def test_without_a_token_there_is_nothing_to_show(shim: Shim) -> None:
    for path in ("/types", "/properties/contacts", "/pipelines/deals", "/owners"):
        answer = shim.get(path, authorization=f"Bearer {mint({'uid': 'u2'})}")
        assert (answer.status_code, answer.json()["code"]) == (404, "token_not_found"), path


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ReconnectRequiredError("revoked", status=400, body={"a": 1}), 502, "reconnect_required"),
        (FatalHubSpotError("no scope", status=403, body={"a": 1}), 502, "hubspot_error"),
    ],
)
def test_hubspots_error_is_answered_as_it_is_for_a_page(
    shim: Shim, error: FatalHubSpotError, status: int, code: str
) -> None:
    for path in ("/types", "/properties/contacts", "/pipelines/deals", "/owners"):
        with shim.answering(JobError.of(error)):
            answer = shim.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.json()["response"] == {"data": {"a": 1}}


def test_owners_and_pipelines_are_shown(shim: Shim) -> None:
    connect(shim)
    keep(shim, OWNERS, Listed(owners=(ADA,)))
    keep(shim, DefinitionList(kind=ListKind.PIPELINES, path="deals"), Listed(pipelines=(SALES,)))

    owners, pipelines = shim.get("/owners").json(), shim.get("/pipelines/0-3").json()

    assert owners["message"] == "Owners found"
    assert owners["data"] == [
        {
            "id": "7",
            "email": "ada@example.test",
            "first_name": None,
            "last_name": None,
            "user_id": None,
            "type": None,
            "archived": False,
            "teams": [{"id": "1", "name": "Engines", "primary": False}],
        }
    ]
    assert pipelines["message"] == "Pipelines found"
    (found,) = pipelines["data"]
    assert (found["id"], found["stages"][0]["metadata"]) == ("default", {"isClosed": "true"})


@pytest.mark.parametrize(
    ("definition", "view"),
    [
        (PropertyDefinition, PropertyView),
        (Option, OptionView),
        (Pipeline, PipelineView),
        (Stage, StageView),
        (Owner, OwnerView),
        (Team, TeamView),
    ],
)
def test_what_is_documented_is_what_is_answered(definition: type, view: type[BaseModel]) -> None:
    assert list(view.model_fields) == [each.name for each in fields(definition)]


# Types


def types_of(shim: Shim) -> dict[str, Json]:
    return {each["name"]: each for each in shim.get("/types").json()["data"]["types"]}


def test_types_are_those_of_hubspot_and_the_accounts_own(shim: Shim) -> None:
    connect(shim)
    keep(shim, SCHEMAS, Listed(custom_types=(CARS,)))

    types = types_of(shim)

    assert list(types) == [*OBJECT_TYPES, "p62515_cars"]
    assert types["p62515_cars"] == {
        "name": "p62515_cars",
        "object_type_id": "2-123",
        "labels": {"singular": "Car", "plural": "Cars"},
        "custom": True,
        "enabled": False,
        "missing_scopes": [],
    }
    assert types["contacts"] == {
        "name": "contacts",
        "object_type_id": "0-1",
        "labels": {"singular": "Contact", "plural": "Contacts"},
        "custom": False,
        "enabled": True,
        "missing_scopes": [],
    }
    assert types["tickets"]["missing_scopes"] == ["tickets"]
    assert types["emails"]["missing_scopes"] == ["sales-email-read"]  # which is wanted besides that of contacts
    assert (types["companies"]["labels"]["singular"], types["line_items"]["labels"]["plural"]) == (
        "Company",
        "Line items",
    )
    assert [name for name, each in types.items() if each["enabled"]] == ["contacts", "companies", "deals", "notes"]


def test_refused_schemas_cost_no_other_type_and_are_told(shim: Shim) -> None:
    with shim.answering(Defined(listed=Listed(refused="no scope", status=403))):
        data = shim.get("/types").json()["data"]

    assert [each["name"] for each in data["types"]] == list(OBJECT_TYPES)
    assert data["custom_objects"] == {"listed": False, "reason": "no scope"}


def test_where_hubspot_tells_no_scopes_none_is_said_to_be_missing(shim: Shim) -> None:
    with shim.answering(Defined(listed=Listed())):
        types = {each["name"]: each for each in shim.get("/types").json()["data"]["types"]}

    assert {each["missing_scopes"] for each in types.values()} == {None}


# Names of types


@pytest.mark.parametrize(
    ("text", "name"),
    [("contacts", "contacts"), ("0-5", "tickets"), ("0-46", "notes"), ("owners", "owners"), ("p1_cars", "p1_cars")],
)
def test_a_type_is_known_by_its_name_or_number_without_asking(shim: Shim, text: str, name: str) -> None:
    resolved = shim.portal.call(shim.app.state.definitions.resolve_type, CALLER, text)

    assert (resolved, shim.rpc_requests.all) == (name, [])


@pytest.mark.parametrize("text", ["2-123", "p_cars"])
def test_a_custom_object_is_looked_up_in_the_portal(shim: Shim, text: str) -> None:
    connect(shim)
    keep(shim, SCHEMAS, Listed(custom_types=(CARS,)))
    keep_properties(shim, "p62515_cars")

    assert shim.get(f"/properties/{text}").status_code == 200


@pytest.mark.parametrize("text", ["2-999", "p_bikes", "unicorns", "0-9999", "Contacts", "p62515_", "%2e%2e"])
def test_an_unknown_type_is_refused_as_everywhere(shim: Shim, text: str) -> None:
    connect(shim)
    keep(shim, SCHEMAS, Listed(custom_types=(CARS,)))

    for path in ("/properties", "/pipelines"):
        answer = shim.get(f"{path}/{text}")
        assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_type"), path


def test_notes_are_shown_from_what_is_kept_of_their_kinds(shim: Shim) -> None:
    connect(shim)
    for path in ("notes", "calls", "emails", "meetings", "tasks"):
        keep_properties(shim, path, "hs_timestamp", f"of_{path}")

    data = {each["name"]: each["kinds"] for each in shim.get(f"/properties/{NOTES}").json()["data"]}

    assert data["hs_timestamp"] == ["NOTE", "CALL", "EMAIL", "MEETING", "TASK"]
    assert data["of_calls"] == ["CALL"]


def test_what_is_no_object_has_neither_properties_nor_pipelines(shim: Shim) -> None:
    connect(shim)

    assert shim.get("/properties/owners").json()["data"] == []
    assert shim.get("/pipelines/owners").json()["data"] == []
    assert shim.rpc_requests.all == []
