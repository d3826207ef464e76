"""The OpenAPI document says what the shim does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from api_shim.requests.schemas import ExportBody, ScheduleBody, SyncBody
from api_shim.responses.examples import EXAMPLES
from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH, Json, Shim

EXPORT, JOBS, JOB, RESULTS, DOWNLOAD = (
    f"{BASE_PATH}/export/{{type}}",
    f"{BASE_PATH}/jobs",
    f"{BASE_PATH}/jobs/{{job_id}}",
    f"{BASE_PATH}/jobs/{{job_id}}/results",
    f"{BASE_PATH}/jobs/{{job_id}}/download",
)
ERRORS = {"400", "401", "403", "404", "503", "default"}
RECORDS, RECORD = f"{BASE_PATH}/records/{{type}}", f"{BASE_PATH}/records/{{type}}/{{record_id}}"
SYNC, SCHEDULE = f"{BASE_PATH}/sync", f"{BASE_PATH}/schedule"
CONTROL = [("post", f"{JOB}/cancel"), ("post", f"{JOB}/retry"), ("delete", JOB)]
CONNECT, CALLBACK, CONNECTION = (f"{BASE_PATH}/{name}" for name in ("connect", "connect/callback", "connection"))
PORTAL = f"{CONNECTION}/portals/{{hub_id}}"
OPERATIONS = [
    ("get", EXPORT),
    ("post", EXPORT),
    ("get", JOBS),
    ("get", JOB),
    ("get", RESULTS),
    ("get", DOWNLOAD),
    *CONTROL,
    ("get", RECORDS),
    ("get", RECORD),
    ("delete", RECORD),
    ("post", SYNC),
    *((method, SCHEDULE) for method in ("get", "put", "delete")),
    *(("get", f"{BASE_PATH}/{name}") for name in ("types", "properties/{type}", "pipelines/{type}", "owners")),
    ("get", CONNECT),
    ("post", f"{CONNECT}/confirm"),
    ("get", CONNECTION),
    ("delete", CONNECTION),
    ("post", f"{CONNECTION}/recheck"),
    ("delete", PORTAL),
]


@pytest.fixture(scope="module")
def shim() -> Iterator[Shim]:
    """Yield one shim for all tests here: they leave nothing that another would notice."""
    with serving(new_parts()) as shim:
        yield shim


@pytest.fixture(scope="module")
def document(shim: Shim) -> Json:
    answer = shim.ask("GET", "/openapi.json", authorization="")
    assert answer.status_code == 200
    body: Json = answer.json()
    return body


def parameters_of(operation: Json) -> dict[str, Any]:
    return {each["name"]: each for each in operation["parameters"]}


def schema_of(operation: Json, status: str) -> str:
    name: str = operation["responses"][status]["content"]["application/json"]["schema"]["$ref"]
    return name.rpartition("/")[2]


def test_every_route_is_documented(document: Json) -> None:
    assert {(method, path) for path, methods in document["paths"].items() for method in methods} >= {
        *OPERATIONS,
        ("get", "/healthz"),
        ("get", "/readyz"),
    }


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_errors_are_documented_as_they_are_answered(document: Json, method: str, path: str) -> None:
    operation = document["paths"][path][method]

    assert set(operation["responses"]) >= ERRORS
    assert {schema_of(operation, status) for status in ERRORS | {"422"} & set(operation["responses"])} == {
        "ErrorAnswer"
    }
    assert operation["security"] == [{"HTTPBearer": []}]


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_type_is_one_of_four(document: Json, method: str) -> None:
    types = parameters_of(document["paths"][EXPORT][method])["type"]["schema"]["enum"]

    assert sorted(types) == ["companies", "contacts", "deals", "notes"]


def test_the_waiting_call_documents_its_page_its_job_and_hubspots_errors(document: Json) -> None:
    operation = document["paths"][EXPORT]["get"]

    assert set(parameters_of(operation)) == {"type", "limit", "offset", "prefer"}
    assert (schema_of(operation, "200"), schema_of(operation, "202")) == ("PageAnswer", "JobAnswer")
    assert {schema_of(operation, status) for status in ("429", "502")} == {"ErrorAnswer"}


def test_the_current_copy_documents_what_can_be_asked_of_it(document: Json) -> None:
    listed, one = document["paths"][RECORDS]["get"], document["paths"][RECORD]["get"]

    assert set(parameters_of(listed)) == {"type", "changed_since", "deleted", "limit", "cursor"}
    assert (schema_of(listed, "200"), schema_of(one, "200")) == ("RecordListAnswer", "RecordAnswer")
    assert parameters_of(one)["record_id"]["schema"]["type"] == "integer"


def test_an_erasure_documents_that_it_may_take_longer(document: Json) -> None:
    operation = document["paths"][RECORD]["delete"]

    assert "content" not in operation["responses"]["204"]
    assert schema_of(operation, "202") == "ErasureAnswer"


@pytest.mark.parametrize(("method", "path"), CONTROL)
def test_what_changes_a_job_documents_the_conflict_and_what_it_answers(document: Json, method: str, path: str) -> None:
    operation = document["paths"][path][method]

    assert schema_of(operation, "409") == "ErrorAnswer"
    if method == "delete":
        assert "content" not in operation["responses"]["204"]
    else:
        assert schema_of(operation, "202") == "JobAnswer"


def test_a_download_documents_both_formats_and_the_conflict(document: Json) -> None:
    operation = document["paths"][DOWNLOAD]["get"]
    parameters = parameters_of(operation)

    assert set(operation["responses"]["200"]["content"]) == {"application/x-ndjson", "text/csv"}
    assert schema_of(operation, "409") == "ErrorAnswer"
    assert set(parameters) == {"job_id", "format", "bom"}
    assert parameters["format"]["schema"]["default"] == "ndjson"


def test_the_way_to_hubspot_documents_its_redirect_and_what_may_be_missing(document: Json) -> None:
    operation = document["paths"][CONNECT]["get"]

    assert (schema_of(operation, "302"), schema_of(operation, "501")) == ("InvitationAnswer", "ErrorAnswer")
    assert "200" not in operation["responses"]


def test_the_way_back_needs_no_jwt_and_documents_hubspots_errors(document: Json) -> None:
    operation = document["paths"][CALLBACK]["get"]

    assert "security" not in operation
    assert set(parameters_of(operation)) == {"state", "code", "error"}
    assert schema_of(operation, "200") == "ConnectedAnswer"
    assert {schema_of(operation, status) for status in ("400", "429", "501", "502", "503")} == {"ErrorAnswer"}
    assert not operation["responses"].keys() & {"401", "403", "404", "422"}


def test_a_connection_documents_what_is_shown_of_it(document: Json) -> None:
    methods = document["paths"][CONNECTION]
    shown = document["components"]["schemas"]["ConnectionView"]["properties"]

    assert schema_of(methods["get"], "200") == "ConnectionAnswer"
    assert "content" not in methods["delete"]["responses"]["204"]
    assert not [name for name in shown if "token" in name]


def test_a_dry_run_documents_its_plan_beside_the_job_of_a_repeated_request(document: Json) -> None:
    operation = document["paths"][EXPORT]["post"]

    answers = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]

    assert [each["$ref"].rpartition("/")[2] for each in answers] == ["JobAnswer", "PlanAnswer"]
    assert schema_of(operation, "502") == "ErrorAnswer"


def test_the_body_of_a_job_is_documented_and_optional(document: Json) -> None:
    body = document["paths"][EXPORT]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]

    of_records = {"properties", "associations", "history", "archived", "api"}
    assert (
        set(schema["properties"])
        == {"limit", "page_size", "offset", "params", "label", "dry_run", "webhook"} | of_records
    )
    assert not body.get("required")
    assert "required" not in schema


def test_every_reference_leads_somewhere(document: Json) -> None:
    def references(part: object) -> list[str]:
        if isinstance(part, list):
            return [name for each in part for name in references(each)]
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [name for each in part.values() for name in references(each)]
        return []

    names = {name.removeprefix("#/components/schemas/") for name in references(document)}
    assert names <= set(document["components"]["schemas"])


def operations_of(document: Json) -> list[tuple[str, Json]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_says_what_it_does_in_words_that_were_chosen(document: Json) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations_of(document):
        word = operation["operationId"].replace("_", " ")
        assert operation["summary"].lower() != word, f"{name} needs a summary"
        assert len(operation["description"]) > 20, f"{name} needs a docstring"
        assert set(operation["tags"]) <= tags, f"{name} has a tag that is not described"
        for parameter in operation.get("parameters", []):
            is_shown = parameter.get("description") or parameter["schema"].get("enum")
            assert is_shown, f"{name}: {parameter['name']} needs a description"


def test_every_json_body_has_an_example(document: Json) -> None:
    for name, operation in operations_of(document):
        if not operation.get("security"):
            continue
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, body in bodies.items():
            content = body.get("content", {}).get("application/json")
            assert not content or place == "default" or content.get("examples"), f"{name}: {place} needs an example"


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_every_example_is_one_that_its_model_reads_and_nothing_is_left_out(model: type[BaseModel]) -> None:
    example = EXAMPLES[model]

    read = model.model_validate_json(json.dumps(example))

    written = read.model_dump(mode="json", exclude_unset=True)
    assert written.keys() == example.keys()
    assert model in {ExportBody, ScheduleBody, SyncBody} or read.model_dump(mode="json").keys() == example.keys()


def test_errors_are_shown_as_they_are_answered(shim: Shim, document: Json) -> None:
    shown = document["paths"][JOB]["get"]["responses"]["404"]["content"]["application/json"]["examples"]

    assert shown["job_not_found"]["value"] == shim.get("/jobs/x").json()


@pytest.mark.parametrize(
    ("operation", "status", "codes"),
    [
        (("get", EXPORT), "404", {"token_not_found"}),
        (("get", JOB), "404", {"job_not_found"}),
        (("get", RECORD), "404", {"record_not_found"}),
        (("get", SCHEDULE), "404", {"schedule_not_found"}),
        (("delete", PORTAL), "404", {"portal_not_found"}),
        (("get", EXPORT), "409", {"conflict"}),
        (("post", f"{JOB}/retry"), "409", {"conflict", "portal_changed"}),
        (("get", RECORDS), "409", {"portal_changed"}),
        (("delete", PORTAL), "409", {"conflict"}),
        (("get", EXPORT), "429", {"too_many_jobs", "storage_full", "too_many_requests", "hubspot_error"}),
        (("get", JOB), "429", {"too_many_requests"}),
        (("get", EXPORT), "502", {"reconnect_required"}),
        (("get", CONNECT), "501", {"not_configured"}),
    ],
)
def test_an_operation_shows_errors_that_it_may_answer(
    document: Json, operation: tuple[str, str], status: str, codes: set[str]
) -> None:
    method, path = operation
    shown = document["paths"][path][method]["responses"][status]["content"]["application/json"]["examples"]

    assert shown.keys() == codes
    assert {example["value"]["code"] for example in shown.values()} == codes


def without_names(error: Json) -> Json:
    """Leave out of a message what stands behind its colon: the settings that are missing differ."""
    return {**error, "message": error["message"].partition(":")[0]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/schedule", "404"), ("DELETE", "/connection/portals/7", "404"), ("GET", "/connect", "501")],
)
def test_what_is_shown_reads_as_what_is_answered(
    shim: Shim, document: Json, method: str, path: str, status: str
) -> None:
    documented = document["paths"][BASE_PATH + path.replace("/7", "/{hub_id}")][method.lower()]["responses"][status]
    (example,) = documented["content"]["application/json"]["examples"].values()

    answer = shim.ask(method, BASE_PATH + path)

    assert str(answer.status_code) == status
    assert without_names(answer.json()) == without_names(example["value"])


def test_what_comes_in_headers_is_documented(shim: Shim, document: Json) -> None:
    accepted = document["paths"][EXPORT]["post"]["responses"]["202"]["headers"]

    assert set(accepted) == {"Location", "Retry-After"}
    assert {name.lower() for name in accepted} <= shim.post("/export/contacts").headers.keys()
