"""The stand-in's answers against HubSpot's published OpenAPI specifications, where those are at hand.

HUBSPOT_SPECS names the folder `PublicApiSpecs` of HubSpot's public collection; without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.records.record_counts import TYPES as RECORD_SETS

SPECS = os.environ.get("HUBSPOT_SPECS", "")
if not SPECS:
    pytest.skip("HUBSPOT_SPECS names no folder with HubSpot's specifications", allow_module_level=True)

HUB = 99


@dataclass(frozen=True)
class Listed:
    """A dated list: what it is called, and where the specifications have it."""

    version: str
    name: str
    file: str

    @property
    def url(self) -> str:
        return f"/crm/objects/{self.version}/{self.name}"

    @property
    def path(self) -> str:
        own = "{objectType}" if self.version == "2026-09" else {"deals": "0-3"}.get(self.name, self.name)
        return f"/crm/objects/{self.version}/{own}"


LISTED = [
    Listed(version, name, f"CRM/{name.title()}/Rollouts/424/{version}/{name}.json")
    for version in ("2026-03", "2026-09")
    for name in ("contacts", "companies", "deals", "notes")
] + [
    Listed("2026-09", name, f"CRM/{folder}/Rollouts/424/2026-09/{file}.json")
    for name, folder, file in (
        *((each, each.title(), each) for each in ("calls", "emails", "meetings", "tasks", "communications")),
        *((each, each.title(), each) for each in ("tickets", "products", "quotes", "leads")),
        *(("line_items", "Line Items", "lineItems"), ("p_cars", "Custom Objects", "customObjects")),
    )
]
QUERIES = (
    "limit=100",
    "limit=5&properties=createdate,no_such_property&associations=contacts,companies,deals",
    "limit=5&propertiesWithHistory=createdate,hs_note_body",
    "archived=true",
)


@cache
def specification(file: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((Path(SPECS) / file).read_text(encoding="utf-8"))
    return read


def checked(file: str, path: str, method: str, answer: Answer) -> dict[str, Any]:
    """Validate an answer against what the specification says of the call, and give it."""
    spec = specification(file)
    responses = spec["paths"][path][method]["responses"]
    # 207 has the form of 200, with errors, though no specification lists it.
    good = answer.status in {200, 207}
    said: dict[str, Any] = responses["200"] if good else {"$ref": "#/components/responses/Error"}
    if "$ref" in said:
        name: str = said["$ref"]
        said = spec["components"]["responses"][name.rpartition("/")[2]]
    schema = next(iter(said["content"].values()))["schema"]
    found: dict[str, Any] = json.loads(answer.body)
    root = {"allOf": [schema], "components": spec["components"]}
    errors = list(jsonschema_rs.Draft4Validator(_as_json_schema(root), validate_formats=True).iter_errors(found))
    assert not errors, [(error.instance_path, error.message[:300]) for error in errors[:3]]
    return found


def _as_json_schema(part: Any) -> Any:  # noqa: ANN401 - a specification
    """Write OpenAPI's `nullable` as JSON Schema has it, and leave examples out, which are no schemas."""
    if isinstance(part, list):
        return [_as_json_schema(each) for each in part]
    if not isinstance(part, dict):
        return part
    schema = {name: _as_json_schema(each) for name, each in part.items() if name != "example"}
    if schema.pop("nullable", False) is True and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


@pytest.fixture
def portal(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(HUB, records=dict.fromkeys((*RECORD_SETS, "cars"), 150), custom_objects=("cars",))
    return hubspot


@pytest.fixture
def call(portal: HubSpot) -> Callable[..., Answer]:
    token = portal.issue_token(HUB).value

    def ask(method: str, path: str, body: bytes = b"", *, bearer: str = token) -> Answer:
        form = {"content-type": "application/x-www-form-urlencoded"} if path.startswith("/oauth") else {}
        return portal.answer(Request.of(method, path, headers={"authorization": f"Bearer {bearer}", **form}, body=body))

    return ask


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: f"{listed.version}-{listed.name}")
def test_a_dated_list_is_as_specified(listed: Listed, query: str, call: Callable[..., Answer]) -> None:
    answer = call("GET", f"{listed.url}?{query}")
    found = checked(listed.file, listed.path, "get", answer)
    assert answer.status == 200
    assert bool(found["results"]) is ("archived" not in query)


@pytest.mark.parametrize("more", [{}, {"propertiesWithHistory": ["createdate", "hs_createdate"]}])
@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: f"{listed.version}-{listed.name}")
def test_a_batch_read_is_as_specified(listed: Listed, more: dict[str, Any], call: Callable[..., Answer]) -> None:
    ids = [each["id"] for each in json.loads(call("GET", f"{listed.url}?limit=3").body)["results"]]
    question = {"inputs": [{"id": each} for each in [*ids, "1"]], "properties": ["createdate"], **more}
    answer = call("POST", f"{listed.url}/batch/read", json.dumps(question).encode())
    found = checked(listed.file, f"{listed.path}/batch/read", "post", answer)
    assert (answer.status, len(found["results"]), found["numErrors"]) == (207, 3, 1)


@pytest.mark.parametrize("version", ["2026-03", "2026-09"])
def test_a_read_of_associations_is_as_specified(version: str, portal: HubSpot, call: Callable[..., Answer]) -> None:
    inputs = [{"id": str(each)} for each in [*portal.accounts[HUB].records["deals"].ids(limit=50), 1]]
    url = f"/crm/associations/{version}/deals/contacts/batch/read"
    answer = call("POST", url, json.dumps({"inputs": inputs}).encode())
    path = f"/crm/associations/{version}/{{fromObjectType}}/{{toObjectType}}/batch/read"
    # The specification of 2026-09 declares an object where every recording has text.
    sub_category = b'"subCategory":"crm.associations.NO_ASSOCIATIONS_FOUND",'
    answer = replace(answer, body=answer.body.replace(sub_category, b""))
    found = checked(f"CRM/Associations/Rollouts/130902/{version}/associations.json", path, "post", answer)
    assert answer.status == 207
    assert found["results"]


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: f"{listed.version}-{listed.name}")
def test_what_is_archived_and_has_many_associations_is_as_specified(
    listed: Listed, portal: HubSpot, call: Callable[..., Answer]
) -> None:
    record_type = portal.accounts[HUB].find_type(listed.name)
    assert record_type
    records = portal.accounts[HUB].records[record_type.record_set]
    numbers = {record_type.record_set: {"contacts": 120}}
    settings = portal.accounts[HUB].settings
    portal.add_account(
        HUB, records=settings.records, custom_objects=("cars",), links=numbers, long_history=True, merged_records=True
    )
    records = portal.accounts[HUB].records[record_type.record_set]
    records.delete(records.ids(limit=40), at_ms=int(portal.clock() * 1000))
    token = portal.issue_token(HUB).value
    for query in ("archived=true", "archived=false&propertiesWithHistory=hs_object_id"):
        answer = call("GET", f"{listed.url}?associations=contacts&{query}", bearer=token)
        [first, *_] = checked(listed.file, listed.path, "get", answer)["results"]
        assert first["archived"] is ("archivedAt" in first) is (query == "archived=true")
        assert first["associations"]["contacts"]["paging"]["next"]["after"]


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: f"{listed.version}-{listed.name}")
def test_a_search_is_as_specified(listed: Listed, call: Callable[..., Answer]) -> None:
    since = {"propertyName": "hs_object_id", "operator": "GTE", "value": "0"}
    question = {
        "limit": 5,
        "after": "0",
        "properties": ["createdate"],
        "filterGroups": [{"filters": [since]}],
        "sorts": [],
    }
    answer = call("POST", f"{listed.url}/search", json.dumps(question).encode())
    assert checked(listed.file, f"{listed.path}/search", "post", answer)["results"]


@pytest.mark.parametrize("version", ["2026-03", "2026-09"])
@pytest.mark.parametrize(
    ("file", "path", "url"),
    [
        ("Properties/Rollouts/145899/{}/properties", "/crm/properties/{}/{{objectType}}", "/crm/properties/{}/deals"),
        ("Properties/Rollouts/145899/{}/properties", "/crm/properties/{}/{{objectType}}", "/crm/properties/{}/p_cars"),
        ("Pipelines/Rollouts/145896/{}/pipelines", "/crm/pipelines/{}/{{objectType}}", "/crm/pipelines/{}/tickets"),
        ("Pipelines/Rollouts/145896/{}/pipelines", "/crm/pipelines/{}/{{objectType}}", "/crm/pipelines/{}/leads"),
        ("Schemas/Rollouts/145900/{}/schemas", "/crm-object-schemas/{}/schemas", "/crm-object-schemas/{}/schemas"),
        ("Crm Owners/Rollouts/146888/{}/crmOwners", "/crm/owners/{}", "/crm/owners/{}?limit=7"),
    ],
)
def test_what_describes_an_account_is_as_specified(
    file: str, path: str, url: str, version: str, call: Callable[..., Answer]
) -> None:
    answer = call("GET", url.format(version))
    found = checked(f"CRM/{file.format(version)}.json", path.format(version), "get", answer)
    assert found["results"]


@pytest.mark.parametrize("wrong", ["?limit=1000", "?after=abc", "?limit=5"])
@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: f"{listed.version}-{listed.name}")
def test_a_refusal_is_as_specified(listed: Listed, wrong: str, call: Callable[..., Answer]) -> None:
    bearer = {"bearer": "unknown"} if wrong == "?limit=5" else {}
    answer = call("GET", f"{listed.url}{wrong}", **bearer)
    assert answer.status in {400, 401}
    checked(listed.file, listed.path, "get", answer)


OAUTH = "Auth/Oauth/Rollouts/279897/2026-03/oauth.json"
APP = b"client_id=app&client_secret=secret"


def test_a_token_and_what_is_told_of_it_are_as_specified(portal: HubSpot, call: Callable[..., Answer]) -> None:
    path = "/oauth/2026-03/token"
    given = call("POST", path, APP + b"&grant_type=refresh_token&refresh_token=refresh-99")
    token = checked(OAUTH, path, "post", given)["access_token"]
    told = call("POST", f"{path}/introspect", APP + b"&token=" + token.encode())
    assert checked(OAUTH, f"{path}/introspect", "post", told)["hub_id"] == HUB


def test_what_version_1_tells_of_a_token_is_as_specified(portal: HubSpot, call: Callable[..., Answer]) -> None:
    token = portal.issue_token(HUB).value
    told = call("GET", f"/oauth/v1/access-tokens/{token}")
    file = "Auth/Oauth/Rollouts/155908/v1/oauth.json"
    assert checked(file, "/oauth/v1/access-tokens/{token}", "get", told)["hub_id"] == HUB
