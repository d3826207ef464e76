"""What a caller who waits is told when HubSpot fails."""

from __future__ import annotations

import pytest

from tests.unit.api_shim.shim import Shim, problem
from worker.errors import (
    CursorStuckError,
    DailyLimitError,
    FatalHubSpotError,
    HubSpotError,
    JsonValue,
    RateLimitedError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    TokenNotFoundError,
)


def expected(errno: int, message: str, code: str, data: JsonValue) -> dict[str, object]:
    return {"success": False, "errno": errno, "message": message, "code": code, "response": {"data": data}}


@pytest.mark.parametrize(
    ("error", "errno"),
    [
        (RetryableHubSpotError("internal error", status=500, body={"status": "error"}), 500),
        (RetryableHubSpotError("locked", status=423, body="text\ufffd"), 423),
        (FatalHubSpotError("missing scopes", status=403, body={"category": "MISSING_SCOPES", "errors": []}), 403),
        (FatalHubSpotError("no such thing", status=404, body=None), 404),
        (RetryableHubSpotError("HubSpot did not answer in time"), 502),
        (CursorStuckError("HubSpot's offset does not advance"), 502),
    ],
)
def test_hubspots_error_is_a_bad_gateway_with_hubspots_words(shim: Shim, error: HubSpotError, errno: int) -> None:
    with shim.failing(error):
        answer = shim.get("/export/contacts")

    assert problem(answer) == (502, expected(errno, error.message, "hubspot_error", error.body))
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(("advice", "seconds"), [(None, "10"), (10.0, "10"), (0.2, "1"), (1.2, "2"), (3600.0, "3600")])
def test_a_rate_limit_stays_one_and_says_how_long(shim: Shim, advice: float | None, seconds: str) -> None:
    body: JsonValue = {"policyName": "TEN_SECONDLY_ROLLING"}
    with shim.failing(RateLimitedError("limit reached", status=429, body=body, retry_after_s=advice)):
        answer = shim.get("/export/contacts")

    assert problem(answer) == (429, expected(429, "limit reached", "hubspot_error", body))
    assert answer.headers["Retry-After"] == seconds


def test_a_limit_of_the_day_is_worth_asking_about_when_a_day_may_have_turned(shim: Shim) -> None:
    with shim.failing(DailyLimitError("daily limit reached", status=429, body={"policyName": "DAILY"})):
        answer = shim.get("/export/contacts")

    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 902


@pytest.mark.parametrize(("advice", "seconds"), [(3600.0, "3600"), (0.0, "1"), (1.5, "2")])
def test_who_meets_a_migration_is_told_how_long_it_takes(shim: Shim, advice: float, seconds: str) -> None:
    with shim.failing(RetryableHubSpotError("Migration in progress", status=477, retry_after_s=advice)):
        answer = shim.get("/export/contacts")

    assert problem(answer) == (502, expected(477, "Migration in progress", "hubspot_error", None))
    assert answer.headers["Retry-After"] == seconds


def test_a_dead_refresh_token_asks_for_a_new_connection(shim: Shim) -> None:
    body: JsonValue = {"status": "BAD_REFRESH_TOKEN"}
    with shim.failing(ReconnectRequiredError("missing or invalid refresh token", status=400, body=body)):
        answer = shim.get("/export/contacts")

    assert problem(answer) == (502, expected(400, "missing or invalid refresh token", "reconnect_required", body))


def test_what_a_client_can_do_about_it_is_said_beside_hubspots_words(shim: Shim) -> None:
    with shim.failing(FatalHubSpotError("missing scopes", status=403, body={}, details="Connect the account again")):
        answer = shim.get("/export/contacts")

    body = {**expected(403, "missing scopes", "hubspot_error", {}), "details": "Connect the account again"}
    assert problem(answer) == (502, body)


def test_a_token_that_went_away_on_the_way_is_answered_as_if_it_had_never_been(shim: Shim) -> None:
    with shim.failing(TokenNotFoundError()):
        answer = shim.get("/export/contacts")

    body = {"success": False, "errno": 400, "message": "Api Token Not Found", "code": "token_not_found"}
    assert problem(answer) == (404, body)


def test_the_failure_is_kept_as_a_job(shim: Shim) -> None:
    with shim.failing(FatalHubSpotError("no", status=403)):
        shim.get("/export/contacts")

    (job,) = shim.jobs.all
    assert shim.get(f"/jobs/{job.job_id}").json()["data"]["error"]["message"] == "no"
