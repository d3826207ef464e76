"""`/schedule`: what is stored, what is refused, and how a schedule is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.clock import START
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.shim import Json, Shim, mint, problem, token_of
from worker.accounts.connection import Fingerprint, Refusal
from worker.schedules.schedule import Overlap

NIGHTLY: Json = {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}
TYPES = ["contacts", "companies", "deals", "notes"]
NOW = "2026-11-23T15:00:00Z"


@pytest.fixture
def shim(running: Running) -> object:
    """Run a shim that puts nobody off."""
    with running(schedule_jitter_seconds=0) as shim:
        yield shim


def stored(shim: Shim, body: Json | None = None, *, status: int = 201) -> Json:
    answer = shim.put("/schedule", NIGHTLY if body is None else body)
    assert answer.status_code == status, answer.text
    data: Json = answer.json()["data"]
    return data


def shown(shim: Shim) -> Json:
    answer = shim.get("/schedule")
    assert answer.status_code == 200, answer.text
    data: Json = answer.json()["data"]
    return data


def refuse(shim: Shim) -> None:
    token = Fingerprint.of(token_of("a1", "u1")).token
    refusal = Refusal(reason="refresh token is invalid", since=START, asked_at=START, token=token, client_id="app")
    shim.connections.refuse("a1", "u1", refusal)


def test_a_schedule_is_stored_and_shown(shim: Shim) -> None:
    answer = shim.put("/schedule", NIGHTLY)

    schedule_id = answer.json()["data"]["schedule_id"]
    assert answer.status_code == 201
    assert answer.json() == {
        "success": True,
        "message": "Schedule stored",
        "data": {
            "schedule_id": schedule_id,
            "cron": "0 3 * * *",
            "timezone": "Europe/Berlin",
            "types": TYPES,
            "mode": "full",
            "enabled": True,
            "overlap": "skip",
            "webhook": None,
            "jitter_seconds": 0,
            "next_run_at": "2026-11-24T02:00:00Z",
            "queued_for": None,
            "last_run_at": None,
            "last_job_id": None,
            "hub_id": None,
            "skipped_runs": 0,
            "missed_runs": 0,
            "stopped_reason": None,
            "created_at": NOW,
            "updated_at": NOW,
        },
    }
    assert shim.get("/schedule").json() == answer.json() | {"message": "Schedule found"}


def test_a_schedule_is_replaced_and_keeps_what_is_known_of_its_runs(shim: Shim) -> None:
    first = stored(shim)
    before = shim.schedules.get("a1", "u1")
    assert before is not None
    due = shim.schedules.take_due(limit=1, lease_s=5)
    shim.clock.advance(86_400)
    due = shim.schedules.take_due(limit=1, lease_s=5)
    ran = replace(before, last_run_at=due.at, last_job_id="j1", skipped_runs=2, missed_runs=3)
    shim.schedules.release(due, [ran], look_again_s=10)

    wanted = {"cron": "30 4 * * 1-5", "timezone": "UTC", "types": ["deals"], "overlap": "queue", "enabled": True}
    wanted["mode"] = "incremental"
    after = stored(shim, wanted, status=200)

    assert {name: after[name] for name in wanted} == wanted
    assert (after["schedule_id"], after["created_at"]) == (first["schedule_id"], NOW)
    assert (after["last_job_id"], after["skipped_runs"], after["missed_runs"]) == ("j1", 2, 3)
    assert after["next_run_at"] == "2026-11-25T04:30:00Z"
    assert after == shown(shim)


def test_a_schedule_can_be_switched_off(shim: Shim) -> None:
    stored(shim)

    off = stored(shim, NIGHTLY | {"enabled": False}, status=200)

    assert (off["enabled"], off["next_run_at"]) == (False, None)


def test_a_schedule_that_is_deleted_is_gone(shim: Shim) -> None:
    stored(shim)

    answer = shim.delete("/schedule")

    assert (answer.status_code, answer.content) == (204, b"")
    for again in (shim.get("/schedule"), shim.delete("/schedule")):
        status, body = problem(again)
        assert status == 404
        assert body == {
            "success": False,
            "errno": 404,
            "message": "RESOURCE_NOT_FOUND",
            "code": "schedule_not_found",
        }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cron": None}, "cron: input should be a valid string"),
        ({"cron": 5}, "cron: input should be a valid string"),
        ({"cron": "0 3 * *"}, "cron: must have five fields: minute, hour, day of month, month, day of week"),
        ({"cron": "0 25 * * *"}, "cron: bad hour"),
        ({"cron": "0 0 */31 2 1#5"}, "cron: never fires"),
        ({"cron": "0 0 30 2 *"}, "cron: bad day-of-month"),
        ({"cron": "* * * * *"}, "cron: must leave at least 5 minutes between two runs"),
        ({"cron": "0 3 * * *" + " " * 3000}, "cron: string should have at most 2000 characters"),
        ({"timezone": "Europe/Atlantis"}, "timezone: must be the name of a time zone, such as Europe/Berlin"),
        ({"timezone": "\x00"}, "timezone: must be the name of a time zone, such as Europe/Berlin"),
        ({"types": []}, "types: must name at least one type"),
        ({"types": ["deals", "deals"]}, "types: names a type more than once"),
        ({"enabled": "yes"}, "enabled: input should be a valid boolean"),
        ({"overlap": "allow"}, "overlap: input should be 'skip' or 'queue'"),
        ({"jitter": 5}, "jitter: is not a known field"),
        ({"webhook": {"url": "https://example.com"}}, "webhook: webhooks are not configured here"),
    ],
)
def test_what_is_wrong_is_refused_and_the_field_is_named(shim: Shim, changed: Json, message: str) -> None:
    status, body = problem(shim.put("/schedule", NIGHTLY | changed))

    assert (status, body["code"]) == (400, "invalid_request")
    assert body["message"].startswith(message)
    assert shim.schedules.get("a1", "u1") is None


@pytest.mark.parametrize("missing", ["cron", "timezone"])
def test_what_is_missing_is_named(shim: Shim, missing: str) -> None:
    body = {name: value for name, value in NIGHTLY.items() if name != missing}

    status, answer = problem(shim.put("/schedule", body))

    assert (status, answer["message"]) == (400, f"{missing}: field required")


def test_a_schedule_needs_a_body(shim: Shim) -> None:
    assert problem(shim.put("/schedule"))[1]["message"] == "cron: field required; timezone: field required"


def test_a_type_that_there_is_not_is_refused_as_everywhere(shim: Shim) -> None:
    wanted = NIGHTLY | {"types": ["tickets"]}

    assert problem(shim.put("/schedule", wanted)) == problem(shim.post("/export/tickets"))


def test_a_schedule_needs_a_connected_account(shim: Shim) -> None:
    status, body = problem(shim.put("/schedule", NIGHTLY, authorization=f"Bearer {mint({'uid': 'nobody'})}"))

    assert (status, body["code"]) == (404, "token_not_found")


@pytest.mark.parametrize("claims", [{"account_id": "a2"}, {"uid": "u2"}])
def test_a_schedule_is_its_accounts_and_its_users(shim: Shim, claims: dict[str, str]) -> None:
    shim.tokens.put(token_of(claims.get("account_id", "a1"), claims.get("uid", "u1")))
    mine = stored(shim)
    other = f"Bearer {mint(claims)}"

    assert shim.get("/schedule", authorization=other).status_code == 404
    theirs = shim.put("/schedule", NIGHTLY | {"cron": "0 5 * * *"}, authorization=other)

    assert theirs.status_code == 201
    assert theirs.json()["data"]["schedule_id"] != mine["schedule_id"]
    assert shown(shim) == mine


def test_a_schedule_says_why_it_stands_still_and_goes_on_with_a_new_token(shim: Shim) -> None:
    stored(shim)
    refuse(shim)
    assert shown(shim)["stopped_reason"] == "refresh token is invalid (reconnect_required)"

    shim.tokens.clear()
    assert shown(shim)["stopped_reason"] == "Api Token Not Found (token_not_found)"

    shim.tokens.put(token_of("a1", "u1"))
    shim.connections.remove("a1", "u1")
    assert shown(shim)["stopped_reason"] is None


def test_accounts_are_put_off_within_the_window_that_is_set(running: Running) -> None:
    with running(schedule_jitter_seconds=600) as shim:
        data = stored(shim)

    assert 0 < data["jitter_seconds"] <= 600
    minutes, seconds = divmod(data["jitter_seconds"], 60)
    assert data["next_run_at"] == f"2026-11-24T02:{minutes:02}:{seconds:02}Z"


def test_the_syncs_of_a_schedule_tell_its_webhook(running: Running) -> None:
    with running(webhook_secret="a-secret-for-webhooks-that-is-long-enough") as shim:
        data = stored(shim, NIGHTLY | {"webhook": {"url": "https://example.com/hook"}})

        assert data["webhook"] == {"url": "https://example.com/hook"}
        kept = shim.schedules.get("a1", "u1")
        assert kept is not None
        assert (kept.webhook is not None, kept.overlap) == (True, Overlap.SKIP)


INCREMENTAL: Json = NIGHTLY | {"mode": "incremental"}


def test_an_incremental_schedule_may_ask_for_a_full_run_every_so_often(shim: Shim) -> None:
    assert stored(shim, INCREMENTAL | {"full_every": "7d"})["full_every"] == "7d"
    assert shown(shim)["full_every"] == "7d"


def test_without_that_the_answer_does_not_speak_of_it(shim: Shim) -> None:
    assert "full_every" not in stored(shim, INCREMENTAL | {"full_every": None})


@pytest.mark.parametrize("interval", ["0d", "7", "90m", "seven days", "", 7, ["7d"]])
def test_an_interval_that_is_none_is_refused_by_name(shim: Shim, interval: object) -> None:
    answer = shim.put("/schedule", INCREMENTAL | {"full_every": interval})
    assert problem(answer)[0] == 400
    assert answer.json()["message"].startswith("full_every: ")


def test_every_run_of_a_full_schedule_is_full_anyway(shim: Shim) -> None:
    answer = shim.put("/schedule", NIGHTLY | {"full_every": "7d"})
    assert answer.status_code == 400
    assert "full_every: is for the mode incremental" in answer.text
