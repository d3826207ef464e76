"""`cancel`, `retry` and `delete`: what they ask of the API, and what they hand over."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.unit.api_shim.cli_server import JOB_ID, FakeExportApi, refusal, run

BASE = "/v1/integrations/hubspot/jobs"
FAILURE = {"code": "hubspot_error", "message": "missing scopes"}


def asked(api: FakeExportApi) -> list[tuple[str, str]]:
    return [(each.method, each.url.path) for each in api.asked]


def test_cancel_shows_the_job_as_the_api_describes_it() -> None:
    api = FakeExportApi(states=["running"])
    result = run(api, "cancel", JOB_ID)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["data"]["status"] == "cancelled"
    assert asked(api) == [("POST", f"{BASE}/{JOB_ID}/cancel")]


def test_retry_shows_the_job_and_leaves_it_to_go_on() -> None:
    api = FakeExportApi(states=["failed"])
    result = run(api, "retry", JOB_ID)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["data"]["status"] == "queued"
    assert asked(api) == [("POST", f"{BASE}/{JOB_ID}/retry")]


def test_retry_wait_ends_with_the_job() -> None:
    api = FakeExportApi(states=["failed"])
    result = run(api, "retry", JOB_ID, "--wait", "60")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["data"]["status"] == "succeeded"
    assert asked(api).count(("POST", f"{BASE}/{JOB_ID}/retry")) == 1


def test_retry_wait_is_no_success_when_the_job_fails_again() -> None:
    class FailingAgain(FakeExportApi):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            answer = super().__call__(request)
            if request.method == "POST":
                self.states = ["queued", "failed"]
            return answer

    result = run(FailingAgain(error=FAILURE), "retry", JOB_ID, "--wait", "60")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["data"]["status"] == "failed"
    assert result.stderr.splitlines()[-1] == f"Error: The job {JOB_ID} has failed: missing scopes (hubspot_error)"


def test_delete_says_that_the_job_is_gone() -> None:
    api = FakeExportApi()
    result = run(api, "delete", JOB_ID)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"Job {JOB_ID} and its results are gone\n", "")
    assert asked(api) == [("DELETE", f"{BASE}/{JOB_ID}")]


@pytest.mark.parametrize("name", ["cancel", "retry", "delete"])
@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (refusal(409, "The job is x", code="conflict"), "Error: 409 The job is x (conflict)\n"),
        (refusal(404, "RESOURCE_NOT_FOUND", code="job_not_found"), "Error: 404 RESOURCE_NOT_FOUND (job_not_found)\n"),
        (refusal(503, "The database is not available", code="unavailable"), "Error: 503 The database is not"),
    ],
)
def test_a_refusal_is_one_line_and_nothing_is_asked_twice(name: str, failure: httpx.Response, line: str) -> None:
    api = FakeExportApi()
    api.failures.append(failure)
    result = run(api, name, JOB_ID)
    assert (result.exit_code, result.stdout, len(api.asked)) == (1, "", 1)
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["cancel", "retry", "delete"])
def test_an_id_cannot_lead_elsewhere(name: str) -> None:
    api = FakeExportApi()
    run(api, name, "../export/contacts?limit=1")
    assert api.asked[0].url.raw_path.startswith(b"/v1/integrations/hubspot/jobs/..%2F")


@pytest.mark.parametrize("words", [["cancel"], ["retry"], ["delete"], ["retry", JOB_ID, "--wait", "-1"]])
def test_wrong_usage_asks_nothing(words: list[str]) -> None:
    api = FakeExportApi()
    assert run(api, *words).exit_code == 2
    assert api.asked == []
