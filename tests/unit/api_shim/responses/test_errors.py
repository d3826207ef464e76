"""Every error has an answer in the documented form, a bug as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.typing import EventDict

from api_shim.auth.jwt import InsufficientScopeError, KeysUnavailableError, UnauthorizedError
from api_shim.requests.errors import UnsupportedEncodingError, UnsupportedTypeError
from api_shim.responses.errors import JobFailedError, answer_of
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from tests.unit.api_shim.conftest import serving
from tests.unit.api_shim.shim import Parts, problem
from worker.errors import (
    AccessDeniedError,
    AlreadyAskedError,
    BrokerUnavailableError,
    CopyBusyError,
    ExportError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    JobNotFoundError,
    NoAnswerError,
    NoPermitError,
    NotConfiguredError,
    PermitExpiredError,
    PortalChangedError,
    PortalConnectedError,
    PortalNotFoundError,
    RecordNotFoundError,
    ScheduleNotFoundError,
    SpoiledPageError,
    SpoiledRecordError,
    SpoiledScheduleError,
    StorageFullError,
    StoreUnavailableError,
    TokenNotFoundError,
    TooManyJobsError,
    TooManyRequestsError,
    UnknownPropertiesError,
)
from worker.jobs.job import Job
from worker.jobs.status import IllegalChangeError

WITHOUT_TEXT = (
    AlreadyAskedError,
    BrokerUnavailableError,
    CopyBusyError,
    IdempotencyKeyReusedError,
    InsufficientScopeError,
    JobNotFoundError,
    KeysUnavailableError,
    NoPermitError,
    PermitExpiredError,
    PortalNotFoundError,
    RecordNotFoundError,
    ScheduleNotFoundError,
    SpoiledScheduleError,
    StoreUnavailableError,
    TokenNotFoundError,
    UnauthorizedError,
    UnsupportedEncodingError,
    UnsupportedTypeError,
)
CHANGED = PortalChangedError("The export", hub_id=111, connected=222, remedy="Start a new export")
GIVEN: dict[type[ExportError], ExportError] = {
    PortalChangedError: CHANGED,
    SpoiledRecordError: SpoiledRecordError(501),
    SpoiledPageError: SpoiledPageError("j1", 3),
    UnknownPropertiesError: UnknownPropertiesError({"emial": ("email",)}, of="contacts"),
    PortalConnectedError: PortalConnectedError(111),
}
SECRET = "mongodb://user:password@10.0.0.1"


def kinds_of(error: type[ExportError]) -> Iterator[type[ExportError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds_of(kind)


def example_of(kind: type[ExportError]) -> ExportError:
    if kind in WITHOUT_TEXT:
        return kind()
    if kind in GIVEN:
        return GIVEN[kind]
    return kind("what happened")


ALL = sorted(set(kinds_of(ExportError)) - {JobFailedError}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_an_answer(kind: type[ExportError]) -> None:
    error = example_of(kind)

    answer = answer_of(error)

    body = json.loads(bytes(answer.body))
    assert 400 <= answer.status_code < 600
    assert list(body)[:4] == ["success", "errno", "message", "code"]
    assert (body["success"], body["message"], body["code"]) == (False, error.message, kind.code)


@pytest.mark.parametrize(
    ("error", "status", "errno", "code"),
    [
        (UnauthorizedError(), 401, 400, "unauthorized"),
        (InsufficientScopeError(), 403, 403, "insufficient_scope"),
        (TokenNotFoundError(), 404, 400, "token_not_found"),
        (UnsupportedTypeError(), 400, 400, "unsupported_type"),
        (InvalidRequestError("limit: no"), 400, 400, "invalid_request"),
        (AccessDeniedError("no"), 400, 400, "access_denied"),
        (NotConfiguredError("set it"), 501, 501, "not_configured"),
        (JobNotFoundError(), 404, 404, "job_not_found"),
        (RecordNotFoundError(), 404, 404, "record_not_found"),
        (ScheduleNotFoundError(), 404, 404, "schedule_not_found"),
        (IllegalChangeError("The job is running"), 409, 409, "conflict"),
        (PortalNotFoundError(), 404, 404, "portal_not_found"),
        (CHANGED, 409, 409, "portal_changed"),
        (PortalConnectedError(111), 409, 409, "conflict"),
        (TooManyJobsError("1000 open jobs"), 429, 429, "too_many_jobs"),
        (StorageFullError("10 of 10 bytes"), 429, 429, "storage_full"),
        (TooManyRequestsError("100 waiting"), 429, 429, "too_many_requests"),
        (IdempotencyKeyReusedError(), 422, 422, "idempotency_key_reused"),
        (StoreUnavailableError(), 503, 503, "unavailable"),
        (BrokerUnavailableError(), 503, 503, "unavailable"),
        (KeysUnavailableError(), 503, 503, "unavailable"),
        (NoAnswerError("too late"), 503, 503, "unavailable"),
    ],
)
def test_the_table_is_the_documented_one(error: ExportError, status: int, errno: int, code: str) -> None:
    answer = answer_of(error)

    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["errno"], body["code"]) == (status, errno, code)
    assert ("retry-after" in answer.headers) == (status in {429, 503})


class FaultyJobStore(InMemoryJobStore):
    """A store with a bug in it."""

    def get(self, job_id: str, *, account_id: str) -> Job:  # noqa: ARG002 - the protocol's
        raise RuntimeError(SECRET)


@pytest.fixture
def faulty_parts(parts: Parts) -> Parts:
    return replace(parts, jobs=FaultyJobStore(ManualClock()))


@pytest.mark.parametrize("path", ["/jobs/x", "/jobs/x/results"])
def test_a_bug_is_answered_without_a_word_of_it_and_logged_once(
    faulty_parts: Parts, path: str, logs: list[EventDict]
) -> None:
    with serving(faulty_parts) as shim:
        answer = shim.get(path)

    expected = {"success": False, "errno": 500, "message": "Internal Server Error", "code": "internal"}
    assert problem(answer) == (500, expected)
    assert [event["event"] for event in logs if event["log_level"] == "error"] == ["unexpected_error"]


def test_after_a_bug_the_next_request_is_answered(faulty_parts: Parts) -> None:
    with serving(faulty_parts) as shim:
        shim.get("/jobs/x")

        assert shim.post("/export/contacts").status_code == 202
