"""What clients see when HubSpot fails."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from sandbox.fake_hubspot.faults.plan import RecipeName
from sandbox.stack import Stack
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.patience import until

QUARTER_S = 15 * 60


@pytest.fixture
def client(stack: Stack) -> Client:
    return connect(stack, contacts=330, deals=20)


def fail(client: Client, recipe: RecipeName, *, times: int | None = 1, after: int = 0, type_: str = "contacts") -> None:
    client.stack.hubspot_control.fail_next(recipe, account=client.account.hub_id, type=type_, times=times, after=after)


@pytest.mark.parametrize(
    "recipe",
    [
        "internal_json",
        "internal_html",
        "bad_gateway",
        "unavailable",
        "html_200",
        "broken_json_200",
        "cut",
        "reset",
        "locked",
        "secondly",
        "expired",
        "error_200",
        "redirect",
        "no_content",
        "multi_status",
    ],
)
def test_one_failure_in_the_middle_costs_no_record(client: Client, recipe: RecipeName) -> None:
    fail(client, recipe, after=2)
    path = client.start("contacts")
    assert client.finished(path)["status"] == "succeeded"
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
    smaller_pages = 1 if recipe == "cloudflare_timeout" else 0  # after a time-out less is asked for
    assert len(client.calls(type="contacts")) == 5 + smaller_pages


def test_what_took_hubspot_too_long_is_asked_for_in_smaller_pages(client: Client) -> None:
    fail(client, "cloudflare_timeout", after=2)
    path = client.start("contacts")
    assert client.finished(path)["status"] == "succeeded"
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
    assert [dict(call["query"])["count"] for call in client.calls(type="contacts")] == ["100"] * 3 + ["50"] * 3


def test_early_hints_and_a_body_that_trickles_cost_nothing(client: Client) -> None:
    for recipe in ("early_hints", "trickle"):
        client.stack.hubspot_control.fail_next(recipe, account=client.account.hub_id, type="contacts", times=2)
    path = client.start("contacts")
    job = client.finished(path)
    assert (job["status"], job["receipt"]["calls"], job["receipt"]["retries"]) == ("succeeded", {"200": 4}, {})
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")


def test_a_fresh_token_that_is_refused_for_seconds_is_renewed_once(stack: Stack) -> None:
    client = connect(stack, contacts=330)
    control, hub_id = stack.hubspot_control, client.account.hub_id
    control.change_account(hub_id, fresh_token_refused_s=2.5)
    control.expire_access_tokens(hub_id)
    path = client.start("contacts")
    assert client.finished(path)["status"] == "succeeded"
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
    assert len(client.calls(type="token")) <= 2


def test_a_wish_for_patience_may_be_a_date(client: Client) -> None:
    client.stack.hubspot_control.fail_next(
        "migrating", account=client.account.hub_id, type="contacts", retry_after_s=3, retry_after_form="date"
    )
    job = client.finished(client.start("contacts"))
    assert (job["status"], job["receipt"]["retries"]) == ("succeeded", {"477": 1})
    waited_s = datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])
    assert waited_s.total_seconds() > 1.5


def test_who_waits_for_a_page_is_told_when_it_is_worth_asking_again(client: Client) -> None:
    client.stack.hubspot_control.fail_next(
        "migrating", account=client.account.hub_id, type="contacts", times=None, retry_after_s=3600
    )
    answer = client.get("/export/contacts")
    assert (answer.status_code, answer.json()["errno"], answer.headers["Retry-After"]) == (502, 477, "3600")


def test_more_properties_than_one_address_holds_come_in_several_calls(client: Client) -> None:
    names = ["email", *(f"custom_property_with_a_long_name_{number:04}" for number in range(450)), "firstname"]
    path = client.start("contacts", {"params": {"property": names}})
    job = client.finished(path)
    assert (job["status"], job["receipt"]["calls"]) == ("succeeded", {"200": 8})
    bodies = client.pages(f"{path}/results", limit=1000)
    records = [record for body in bodies for record in body["data"]["contacts"]]
    assert len(records) == 330
    assert all({"email", "firstname"} <= record["properties"].keys() for record in records)


def test_a_page_that_keeps_failing_is_answered_502_with_hubspots_body(client: Client) -> None:
    fail(client, "internal_json", times=None)
    answer = client.get("/export/contacts")
    body = answer.json()
    assert answer.status_code == 502
    assert (body["success"], body["errno"], body["code"]) == (False, 500, "hubspot_error")
    assert body["message"] == body["response"]["data"]["message"]
    assert len(client.calls(type="contacts")) == 3


def test_a_rate_limit_that_lasts_is_answered_429_with_retry_after(client: Client) -> None:
    fail(client, "ten_secondly", times=None)
    answer = client.get("/export/contacts")
    assert (answer.status_code, answer.json()["errno"], answer.json()["code"]) == (429, 429, "hubspot_error")
    assert answer.headers["Retry-After"] == "10"
    assert answer.json()["response"]["data"]["policyName"] == "TEN_SECONDLY_ROLLING"


def test_a_job_sits_out_a_short_rate_limit_without_a_worker(client: Client) -> None:
    fail(client, "ten_secondly", after=1)
    path = client.start("contacts")
    job = client.job(path)
    while job["resume_at"] is None:
        job = client.job(path)
    assert (job["status"], job["reason"], job["progress"]["pages"]) == ("running", "hubspot_error", 1)
    assert client.documents("jobs", _id=job["job_id"])[0]["lease"] is None
    done = client.finished(path)
    assert (done["status"], done["progress"]["records"], done["attempts"]) == ("succeeded", 330, 1)
    assert (done["receipt"]["complete"], done["receipt"]["retries"]) == (True, {"429": 1})


@pytest.mark.parametrize(("recipe", "longest_s"), [("migrating", 60), ("daily", QUARTER_S + 1)])
def test_a_job_waits_for_as_long_as_hubspot_wants_and_says_until_when(
    client: Client, recipe: RecipeName, longest_s: float
) -> None:
    until(lambda: time.time() % QUARTER_S < QUARTER_S - 60)  # at its end a daily limit is waited out at once
    fail(client, recipe, after=1)
    path = client.start("contacts")
    waiting = client.get(path, Prefer="wait=5").json()["data"]
    while waiting["status"] in {"queued", "running"}:
        waiting = client.get(path, Prefer="wait=5").json()["data"]
    assert (waiting["status"], waiting["reason"]) == ("waiting", "hubspot_error")
    wait_s = (datetime.fromisoformat(waiting["resume_at"]) - datetime.now(UTC)).total_seconds()
    assert 0 < wait_s <= longest_s
    assert len(client.calls(type="contacts")) == 2


def test_notes_that_hubspot_cannot_answer_in_large_pages_come_in_smaller_ones(stack: Stack) -> None:
    client = connect(stack, engagements=600)
    stack.hubspot_control.fail_next(
        "internal_json", account=client.account.hub_id, type="engagements", page_size_over=190, times=None
    )
    path = client.start("notes")
    job = client.finished(path)
    assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True)
    sizes = [dict(call["query"])["limit"] for call in client.calls(type="engagements")]
    assert sizes == ["250", *["125"] * (len(sizes) - 1)]


def test_an_address_that_is_too_long_fails_at_once_and_says_what_helps(client: Client) -> None:
    fail(client, "uri_too_long")
    job = client.finished(client.start("contacts"))
    assert (job["status"], job["error"]["hubspot"]["status"]) == ("failed", 414)
    assert "fewer properties" in f"{job['error']['message']} {job['error']['details']}"
    assert len(client.calls(type="contacts")) == 1


def test_missing_scopes_fail_at_once_with_hubspots_words_and_are_named(client: Client) -> None:
    fail(client, "missing_scopes", type_="deals", times=2)
    answer = client.get("/export/deals")
    assert (answer.status_code, answer.json()["errno"]) == (502, 403)
    assert answer.json()["response"]["data"]["category"] == "MISSING_SCOPES"
    assert "crm.objects.deals.read" in answer.json()["details"]
    job = client.finished(client.start("deals"))
    assert (job["status"], job["error"]["retryable"]) == ("failed", False)
    assert "crm.objects.deals.read" in job["error"]["details"]
    assert len(client.calls(type="deals")) == 2


def test_a_dead_refresh_token_asks_for_a_new_connection(client: Client) -> None:
    client.stack.hubspot_control.revoke(client.account.hub_id)
    answer = client.get("/export/contacts")
    assert answer.status_code == 502
    assert (answer.json()["errno"], answer.json()["code"]) == (400, "reconnect_required")
    assert "refresh token" in answer.json()["message"]
    job = client.finished(client.start("contacts"))
    assert (job["status"], job["error"]["code"], job["error"]["retryable"]) == ("failed", "reconnect_required", False)


def test_a_cursor_that_does_not_advance_fails_the_job_instead_of_looping(client: Client) -> None:
    fail(client, "stuck_cursor", times=None, after=2)
    path = client.start("contacts")
    job = client.finished(path)
    assert (job["status"], job["error"]["code"]) == ("failed", "cursor_stuck")
    assert "does not advance" in job["error"]["message"]
    assert job["progress"]["records"] == 200
    assert len(client.calls(type="contacts")) == 3
    *_, last = client.pages(f"{path}/results", limit=1000)
    assert len(last["data"]["contacts"]) == 200


def test_no_secret_reaches_a_job_a_log_or_an_answer(client: Client) -> None:
    fail(client, "unauthenticated", times=5)
    answers = client.get("/export/contacts").text
    fail(client, "missing_scopes")
    job = client.finished(client.start("contacts"))
    (key,) = client.documents("key", account_id=client.account.account_id)
    logs = "".join(log.read_text() for log in client.stack.logs.glob("*.log"))
    jobs = str(client.documents("jobs", account_id=client.account.account_id))
    settings = client.stack.settings
    for secret in (
        key["access_token"],
        key["refresh_token"],
        settings["HUBSPOT_CLIENT_SECRET"],
        settings["JWT_SECRET"],
        client.token,
    ):
        assert secret not in answers + str(job) + logs + jobs
