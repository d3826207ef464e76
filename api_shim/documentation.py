"""DocumentedApi: what the OpenAPI document says beyond the routes: introduction, examples, headers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from api_shim.auth.jwt import InsufficientScopeError, UnauthorizedError
from api_shim.requests.errors import UnsupportedTypeError
from api_shim.responses.documented_types import with_enabled_types
from api_shim.responses.errors import JobFailedError, answer_of
from api_shim.responses.examples import EXAMPLES, Json
from api_shim.services.records import FROM_THE_START
from worker.errors import (
    ExportError,
    HubSpotError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    JobNotFoundError,
    NotConfiguredError,
    PortalChangedError,
    PortalConnectedError,
    PortalNotFoundError,
    ReconnectRequiredError,
    RecordNotFoundError,
    ScheduleNotFoundError,
    StorageFullError,
    StoreUnavailableError,
    TokenNotFoundError,
    TooManyJobsError,
    TooManyRequestsError,
)
from worker.jobs.status import IllegalChangeError, JobError
from worker.jobs.view import BASE_PATH
from worker.lifecycle.caps import job_refusal, storage_refusal
from worker.records.enabled_types import EnabledTypes

TITLE = "HubSpot export"
DESCRIPTION = """
Exports a connected HubSpot account's **contacts, companies, deals and notes**, and keeps a current copy of them.

**Authentication.** Every call below `/v1/integrations/hubspot` needs `Authorization: Bearer <JWT>` with the claims
`account_id`, `uid`, `exp` and a `scope` that contains `contacts` or `contacts.external`. A caller sees what its
`account_id` owns; everything else answers as if it did not exist.

**One page, synchronously:** `GET /export/contacts?limit=10`, then again with `offset = pagination.offset` while
`pagination.hasMore`.

**All records, as a job:** `POST /export/contacts` answers 202 with a job. Follow it with `GET /jobs/{id}` and
`Prefer: wait=20`, read it with `GET /jobs/{id}/results` while it runs, or download it with `GET /jobs/{id}/download`
when it has ended. A POST with an `Idempotency-Key` may be repeated.

**Lists** continue at `cursor = pagination.cursor` while `pagination.hasMore`. Cursors are opaque, and stay valid
whatever is added or removed meanwhile.

**Errors** always have the body `{"success": false, "errno": …, "message": …, "code": …}`; the message names the field
that is wrong. With a 503 or a 429, `Retry-After` says when to try again.

Times are ISO 8601 in UTC. Every answer has an `X-Request-Id`: the caller's own, if it sent one.
"""
TAGS = [
    {"name": "exports", "description": "Export one page synchronously, or all records of a type as a job."},
    {"name": "syncs", "description": "Export several types together, and keep the current copy up to date."},
    {"name": "schedules", "description": "Sync the account automatically, by a cron expression in a time zone."},
    {"name": "jobs", "description": "Follow, read, cancel, retry and delete jobs."},
    {"name": "records", "description": "The current copy: one document a record, in the order of its last change."},
    {"name": "definitions", "description": "What HubSpot defines: types, properties, pipelines, owners."},
    {"name": "connections", "description": "Connect an account to HubSpot, show the connection, and remove it."},
    {"name": "health", "description": "For operators: liveness, readiness, metrics."},
]

_AWAY = JobFailedError(
    JobError.of(ReconnectRequiredError("refresh token is invalid, expired or revoked", status=400, body={}))
)
_LIMITED = JobFailedError(
    JobError.of(HubSpotError("You have reached your secondly limit.", status=429, body={"policyName": "SECONDLY"}))
)
_TOO_OFTEN = TooManyRequestsError("100 requests of this caller are already waiting, which is the limit")
_KEY_IS_SPENT = IllegalChangeError("Idempotency-Key: its job is gone, deleted or expired; a new one needs a new key")
_ERRORS: Mapping[str, tuple[ExportError, ...]] = {
    "400": (InvalidRequestError("limit: must be a whole number, 0 or more"), UnsupportedTypeError()),
    "401": (UnauthorizedError(),),
    "403": (InsufficientScopeError(),),
    "404": (TokenNotFoundError(),),
    "409": (IllegalChangeError("The job is running: cancel it first"),),
    "422": (IdempotencyKeyReusedError(),),
    "429": (_TOO_OFTEN,),
    "501": (
        NotConfiguredError("Accounts cannot be connected here before these settings are made: CONNECT_STATE_SECRET"),
    ),
    "502": (_AWAY,),
    "503": (StoreUnavailableError(),),
}
_TOO_MUCH = (
    TooManyJobsError(job_refusal(1000)),
    StorageFullError(storage_refusal(10**10, 10**10)),
    _TOO_OFTEN,
    _LIMITED,
)
_ERRORS_OF: Mapping[tuple[str, str], tuple[ExportError, ...]] = {
    ("/jobs", "404"): (JobNotFoundError(),),
    ("post /jobs/{job_id}/retry", "409"): (
        IllegalChangeError("The job is succeeded and cannot become queued"),
        PortalChangedError("The export", hub_id=62515, connected=62516, remedy="Start a new export"),
    ),
    ("get /jobs/{job_id}/download", "409"): (
        IllegalChangeError("The job is running: its contacts can be downloaded when it has ended"),
    ),
    ("get /export", "409"): (IllegalChangeError("The job is cancelled: it was stopped before it had its page"),),
    ("post /export", "409"): (_KEY_IS_SPENT,),
    ("post /sync", "409"): (_KEY_IS_SPENT,),
    ("/export", "429"): _TOO_MUCH,
    ("/sync", "429"): _TOO_MUCH,
    ("/connect/callback", "429"): (_TOO_OFTEN, _LIMITED),
    ("/records", "404"): (RecordNotFoundError(),),
    ("/records", "409"): (PortalChangedError("The cursor", hub_id=62515, connected=62516, remedy=FROM_THE_START),),
    ("/schedule", "404"): (ScheduleNotFoundError(),),
    ("/connection/portals", "404"): (PortalNotFoundError(),),
    ("/connection/portals", "409"): (PortalConnectedError(62515),),
}
"""The examples instead of `_ERRORS`, by a prefix of the operation or its path, and the status."""
_HEADERS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("202", "JobAnswer"): {"Location": "The job's path", "Retry-After": "Seconds after which to ask again"},
    ("401", "ErrorAnswer"): {"WWW-Authenticate": "Bearer"},
    ("429", "ErrorAnswer"): {"Retry-After": "Seconds after which to try again"},
    ("502", "ErrorAnswer"): {"Retry-After": "Seconds after which to try again, if HubSpot has said so"},
    ("503", "ErrorAnswer"): {"Retry-After": "Seconds after which to try again"},
}


class DocumentedApi(FastAPI):
    """A FastAPI application that adds examples and headers to its document, by schema and status.

    `state.type_names` are the types that it names.
    """

    def openapi(self) -> Json:
        """Return the document, which is built once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for name, operation in _operations(document):
                _complete(name, operation)
            enabled: EnabledTypes = self.state.type_names.enabled
            if not enabled.are_documented:
                self.openapi_schema = with_enabled_types(document, enabled)
        return super().openapi()


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield each operation with its name, such as `get /jobs/{job_id}`."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path.removeprefix(BASE_PATH)}", operation


def _complete(name_of_operation: str, operation: Json) -> None:
    if "requestBody" in operation:
        _add_example(operation["requestBody"])
    for status, answer in operation["responses"].items():
        _add_example(answer)
        for name in _named_in(_content(answer).get("schema", {})):
            if name == "ErrorAnswer" and status in _ERRORS:
                bodies = [_body_of(error) for error in _errors_of(name_of_operation, status)]
                _content(answer)["examples"] = {body["code"]: {"value": body} for body in bodies}
            if (status, name) in _HEADERS:
                answer.setdefault("headers", {}).update(_described(_HEADERS[status, name], status=status))


def _errors_of(operation: str, status: str) -> tuple[ExportError, ...]:
    _, path = operation.split(maxsplit=1)
    for (beginning, of_status), errors in _ERRORS_OF.items():
        if status == of_status and (operation.startswith(beginning) or path.startswith(beginning)):
            return errors
    return _ERRORS[status]


def _add_example(part: Json) -> None:
    content = _content(part)
    names = _named_in(content.get("schema", {}))
    known = {model.__name__: value for model, value in EXAMPLES.items() if model.__name__ in names}
    if known:
        content["examples"] = {name: {"value": value} for name, value in known.items()}


def _content(part: Json) -> Json:
    content: Json = part.get("content", {}).get("application/json", {})
    return content


def _named_in(schema: Json) -> list[str]:
    """Return the names of a schema, or of its alternatives."""
    choices: Iterable[Json] = schema.get("anyOf", [schema])
    return [(each.get("$ref") or each.get("title") or "").rpartition("/")[2] for each in choices]


def _described(headers: Mapping[str, str], *, status: str) -> Json:
    is_always_there = status != "502"
    return {
        name: {"description": text, "required": is_always_there, "schema": {"type": "string"}}
        for name, text in headers.items()
    }


def _body_of(error: ExportError) -> Any:  # noqa: ANN401 - JSON
    return json.loads(bytes(answer_of(error).body))
