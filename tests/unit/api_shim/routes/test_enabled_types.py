"""EXPORT_TYPES: what a caller can ask for with more than the documented types, and that nothing differs without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Json, Parts, Shim, problem, token_of
from worker.accounts.connection import Fingerprint, TokenInfo
from worker.definitions.definition import CustomType, PropertyDefinition
from worker.definitions.interfaces import Access
from worker.definitions.lists import SCHEMAS, DefinitionList, Listed, ListKind
from worker.definitions.questions import CheckedProperties
from worker.jobs.request import ExportRequest
from worker.records.enabled_types import EnabledTypes

FACTS = TokenInfo(hub_id=123, user_id=7, user="ada@example.com", scopes=("oauth", "crm.objects.contacts.read"))
DEFINED = {"tickets": ("subject", "content"), "contacts": ("email", "lastname"), "p123_cars": ("colour",)}
CUSTOM = [("p123_cars", "2-55", "cars"), ("p123_boats", "2-56", "boats")]
REFUSAL = (
    "Given type is not supported. supported types are calls, communications, companies, contacts, deals, emails, "
    "leads, line_items, meetings, notes, owners, products, quotes, tasks, tickets and custom objects"
)


def connected() -> Parts:
    """Return parts that know the caller's portal and what HubSpot defines for it, so that nobody has to be asked."""
    parts = new_parts()
    parts.connections.learn("a1", "u1", FACTS, fingerprint=Fingerprint.of(token_of("a1", "u1")), at=parts.clock())
    access = Access.of(FACTS, hub_id=FACTS.hub_id)
    assert access is not None
    types = tuple(CustomType(name=name, type_id=number, short_name=short) for name, number, short in CUSTOM)
    parts.definitions.put(access, SCHEMAS, Listed(custom_types=types))
    for path, names in DEFINED.items():
        listed = Listed(properties=tuple(PropertyDefinition(name=each, type="string") for each in names))
        parts.definitions.put(access, DefinitionList(kind=ListKind.PROPERTIES, path=path), listed)
    return parts


def enabling(types: str) -> Iterator[Shim]:
    with serving(connected(), export_types=EnabledTypes.parse(types)) as shim:
        yield shim


@pytest.fixture
def every() -> Iterator[Shim]:
    """Run a shim with all types."""
    yield from enabling("*")


@pytest.fixture
def some() -> Iterator[Shim]:
    """Run a shim with a few."""
    yield from enabling("contacts,tickets,p_cars")


def asked(shim: Shim, export_type: str, body: object = None) -> tuple[str, ExportRequest]:
    shim.start(export_type, body)
    return shim.jobs.all[-1].type_name, shim.jobs.all[-1].request


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("tickets", "tickets"),
        ("0-5", "tickets"),
        ("0-1", "contacts"),
        ("owners", "owners"),
        ("p123_cars", "p123_cars"),
        ("p_cars", "p123_cars"),
        ("2-55", "p123_cars"),
    ],
)
def test_a_type_is_named_by_its_name_its_id_or_its_short_name(every: Shim, word: str, name: str) -> None:
    assert asked(every, word)[0] == name


@pytest.mark.parametrize("word", ["ticket", "0-999", "2-999", "p_planes", "Tickets", "*", "custom_objects", "sync"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_type_is_answered_with_those_that_are_enabled(every: Shim, method: str, word: str) -> None:
    status, body = problem(every.ask(method, f"{BASE_PATH}/export/{word}"))

    assert (status, body["code"], body["details"]) == (400, "unsupported_type", REFUSAL)
    assert every.jobs.all == []


def test_of_custom_objects_only_those_that_are_enabled_are_known(some: Shim) -> None:
    assert {asked(some, word)[0] for word in ("2-55", "p_cars", "p123_cars")} == {"p123_cars"}
    for word in ("p_boats", "p123_boats", "2-56", "deals", "0-3", "products"):
        status, body = problem(some.post(f"/export/{word}"))
        assert (status, body["code"]) == (400, "unsupported_type"), word
        assert body["details"].endswith("supported types are contacts, p_cars, tickets")


@pytest.mark.parametrize("word", ["0-1", "tickets", "0-5", "p123_cars", "2-55"])
def test_without_the_setting_the_names_are_those_documented(word: str) -> None:
    with serving(connected()) as shim:
        status, body = problem(shim.post(f"/export/{word}"))

    assert (status, body["code"]) == (400, "unsupported_type")
    assert body["details"] == "Given type is not supported. supported types are companies, contacts, deals, notes"


def test_a_page_of_a_further_type_is_hubspots_body_and_further_parameters_go_through(every: Shim) -> None:
    body = b'{"results":[{"id":"1301","properties":{}}]}'
    with every.exporting(body):
        answer = every.get("/export/tickets?limit=500&properties=subject,content&associations=contacts&archived=true")

    assert answer.content == (
        b'{"success":true,"message":"DATA Recieved","data":' + body + b',"pagination":{"hasMore":null,"offset":null}}'
    )
    request = every.jobs.all[-1].request
    assert (request.limit, request.page_size) == (100, 100)
    assert request.params == (("properties", "subject,content"), ("associations", "contacts"), ("archived", "true"))


def test_a_sync_of_all_types_has_these_and_is_left_to_a_worker_where_a_portal_adds_to_them(every: Shim) -> None:
    answer = every.post("/sync", {"types": ["*"], "properties": {"tickets": ["subject"], "2-55": ["*"]}})

    data = answer.json()["data"]
    assert (answer.status_code, data["children"]) == (202, [])
    assert data["request"]["types"] == ["*"]
    assert data["request"]["properties"] == {"tickets": ["subject"], "p123_cars": ["*"]}
    assert [job.job_id for job in every.queue.published] == [data["job_id"]]


def test_without_custom_objects_all_types_are_known_at_once() -> None:
    for shim in enabling("contacts,tickets"):
        data = shim.post("/sync", {"types": ["*"]}).json()["data"]
        assert data["request"]["types"] == ["contacts", "tickets"]
        assert len(data["children"]) == 2


def test_a_sync_has_the_types_it_names_and_each_export_its_properties(every: Shim) -> None:
    answer = every.post("/sync", {"types": ["0-5", "p_cars"], "properties": {"tickets": ["subject"], "p_cars": ["*"]}})

    assert answer.json()["data"]["request"]["types"] == ["tickets", "p123_cars"]
    exports = {job.type_name: job.request.properties for job in every.jobs.all if job.parent_id is not None}
    assert exports == {"tickets": ("subject",), "p123_cars": ("*",)}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"types": ["contacts"], "properties": {"tickets": ["x"]}}, "properties.tickets: is not among types"),
        ({"types": ["contacts"], "properties": {"nope": ["x"]}}, "properties.nope: is not among types"),
        ({"properties": {"tickets": ["subject"]}}, "properties.tickets: is not among types"),
        ({"types": ["tickets", "0-5"]}, "types: names a type more than once"),
        ({"types": ["p_cars", "2-55"]}, "types: names a type more than once"),
        ({"types": ["*", "contacts"]}, "types: * stands for all types, and beside no other"),
        ({"types": ["owners"], "properties": {"owners": ["*"]}}, "properties.owners: owners have none"),
        ({"types": ["tickets"], "properties": {"tickets": []}}, "properties.tickets: must name at least one property"),
        ({"types": ["tickets"], "properties": {"tickets": "subject"}}, "properties.tickets: must be a list of names"),
        (
            {"types": ["tickets"], "properties": {"tickets": ["subject"], "0-5": ["content"]}},
            "properties.0-5: names a type that another name means as well",
        ),
        (
            {"types": ["tickets"], "properties": {"tickets": ["subjct"]}},
            "properties.tickets: HubSpot does not define for tickets: subjct (nearest: subject)",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/sync", "/schedule"])
def test_properties_of_what_is_not_synced_are_refused(every: Shim, path: str, body: Json, message: str) -> None:
    if path == "/sync":
        answer = refused(every, "POST", path, body)
    else:
        answer = refused(every, "PUT", path, {**body, "cron": "0 3 * * *", "timezone": "UTC"})

    assert answer.startswith(message)
    assert every.jobs.all == []
    assert every.get("/schedule").status_code == 404


def refused(shim: Shim, method: str, path: str, body: Json) -> str:
    """Return why a body is refused; what no cache knows is answered for by a worker who knows the nearest name."""
    content = json.dumps(body).encode()
    if "subjct" in str(body):
        with shim.answering(CheckedProperties(unknown={"subjct": ("subject",)})):
            status, answer = problem(shim.ask(method, f"{BASE_PATH}{path}", content=content))
    else:
        status, answer = problem(shim.ask(method, f"{BASE_PATH}{path}", content=content))
    assert status == 400
    message: str = answer["message"]
    return message


def test_a_schedule_keeps_that_it_is_for_all_types_and_shows_its_properties(every: Shim) -> None:
    body = {"cron": "0 3 * * *", "timezone": "UTC", "types": ["*"], "properties": {"0-5": ["subject", "*"]}}

    data = every.put("/schedule", body).json()["data"]

    assert (data["types"], data["properties"]) == (["*"], {"tickets": ["subject", "*"]})
    stored = every.schedules.get("a1", "u1")
    assert stored is not None
    assert (stored.types, stored.properties) == (("*",), {"tickets": ("subject", "*")})


def test_jobs_are_listed_whatever_their_type_and_by_any(every: Shim) -> None:
    ids = {name: every.start(name) for name in ("tickets", "p123_cars", "contacts")}

    def listed(query: str = "") -> set[str]:
        return {job["job_id"] for job in every.get(f"/jobs{query}").json()["data"]}

    assert listed() == set(ids.values())
    assert listed("?type=p123_cars,0-5") == {ids["tickets"], ids["p123_cars"]}
    assert listed("?type=contacts&type=sync") == {ids["contacts"]}


def test_a_word_that_is_no_type_of_jobs_is_answered_with_those_there_are(some: Shim) -> None:
    words = "'contacts', 'tickets', 'p_cars' or 'sync'"
    for word in ("ticket", "deals", "2-55", "p_cars"):
        status, body = problem(some.get(f"/jobs?type=contacts&type={word}"))
        assert (status, body["message"]) == (400, f"type.1: input should be {words}"), word


@pytest.mark.parametrize("word", ["ticket", "tickets", "0-1", "p1_cars"])
def test_without_the_setting_it_is_answered_with_those_documented(word: str) -> None:
    with serving(connected()) as shim:
        body = shim.get(f"/jobs?type={word}").json()

    assert body["message"] == "type.0: input should be 'contacts', 'companies', 'deals', 'notes' or 'sync'"


def test_a_connection_names_the_scopes_that_the_enabled_types_lack(every: Shim) -> None:
    missing = every.get("/connection").json()["data"]["missing_scopes"]

    assert missing["tickets"] == ["tickets"]
    assert missing["emails"] == ["sales-email-read"]
    assert missing["custom_objects"] == ["crm.objects.custom.read"]
    assert not {"contacts", "notes", "calls"} & missing.keys()


def test_the_document_follows_the_setting(some: Shim) -> None:
    document = some.app.openapi()  # the route of it is shared by all applications here

    text = json.dumps(document)
    export = document["paths"][f"{BASE_PATH}/export/{{type}}"]["get"]
    (path,) = [each["schema"] for each in export["parameters"] if each["name"] == "type"]
    sync = document["paths"][f"{BASE_PATH}/sync"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    types = sync["properties"]["types"]
    assert path["examples"] == ["contacts", "tickets", "p_cars"]
    assert (types["default"], types["items"]["examples"][-1]) == (["contacts"], "*")
    assert "supported types are contacts, p_cars, tickets" in text
    assert "supported types are companies" not in text
    assert '["contacts", "companies", "deals", "notes"' not in text


# What the documented routes answer

REQUESTS: list[tuple[str, str, Json | None]] = [
    ("POST", "/export/contacts", None),
    ("POST", "/export/companies", {"limit": 5, "label": "x"}),
    ("POST", "/export/deals", {"page_size": 251}),
    ("POST", "/export/notes", {"offset": 7, "params": {"a": ["b", "c"]}}),
    ("POST", "/export/contacts", {"properties": ["email"], "history": ["lastname"], "archived": True}),
    ("POST", "/sync", None),
    ("POST", "/sync", {"types": ["deals"], "mode": "incremental"}),
    ("POST", "/sync", {"types": None}),
    ("POST", "/sync", {"types": []}),
    ("GET", "/schedule", None),
    ("PUT", "/schedule", {"cron": "0 3 * * *", "timezone": "UTC"}),
    ("GET", "/schedule", None),
    ("GET", "/jobs?type=sync&limit=100", None),
    ("GET", "/jobs?type=contacts&limit=100", None),
    ("GET", "/jobs?type=deals&status=running", None),
    ("GET", "/jobs?type=contacts&status=queued", None),
    ("GET", "/records/contacts", None),
    ("GET", "/records/contacts/501", None),
    ("GET", "/export/contacts?limit=0", None),
    ("DELETE", "/schedule", None),
]
_OF_ITS_OWN = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.mark.parametrize("types", ["*", "contacts,companies,deals,notes,tickets,p_cars"])
def test_the_documented_routes_answer_alike_with_further_types(types: str) -> None:
    """Ids apart, byte for byte."""
    with serving(connected()) as usual:
        expected = answers(usual)
    for shim in enabling(types):
        assert answers(shim) == expected


def answers(shim: Shim) -> list[tuple[str, int, bytes]]:
    found = []
    for export_type in ("contacts", "companies", "deals", "notes"):
        with shim.exporting(body_of(export_type, [1, 2], offset=3)):
            answer = shim.get(f"/export/{export_type}?limit=2&x=y")
        found.append((export_type, answer.status_code, answer.content))
    for method, path, body in REQUESTS:
        content = json.dumps(body).encode() if body is not None else None
        shim.clock.advance(1)
        answer = shim.ask(method, f"{BASE_PATH}{path}", content=content)
        found.append((path, answer.status_code, _OF_ITS_OWN.sub(b"id", answer.content)))
    return found
