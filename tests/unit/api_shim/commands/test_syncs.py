"""`sync`: what it asks of the API, and what it hands over."""

from __future__ import annotations

import json
from collections import deque

import httpx

from tests.unit.api_shim.cli_server import JOB_ID, FakeExportApi, Json, refusal, run

BASE = "/v1/integrations/hubspot"
FAILURE = {"code": "partial_failure", "message": "1 of 4 exports failed: deals: missing scopes (hubspot_error)"}


def posted(api: FakeExportApi) -> list[tuple[str, Json]]:
    return [(each.url.path, json.loads(each.content)) for each in api.asked if each.method == "POST"]


def test_sync_starts_one_and_prints_its_id() -> None:
    api = FakeExportApi()
    result = run(api, "sync")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{JOB_ID}\n", "")
    assert posted(api) == [(f"{BASE}/sync", {})]


def test_sync_passes_on_the_types_and_the_label() -> None:
    api = FakeExportApi()
    assert run(api, "sync", "--types", "contacts, deals", "--label", "nightly").exit_code == 0
    assert posted(api) == [(f"{BASE}/sync", {"types": ["contacts", "deals"], "label": "nightly"})]


def test_sync_passes_on_types_one_by_one_and_their_properties() -> None:
    api = FakeExportApi()
    words = ["--type", "tickets", "--type", "p_cars", "--property", "tickets=subject", "--property", "p_cars=*"]
    assert run(api, "sync", *words, "--property", "tickets=content").exit_code == 0
    wanted = {"types": ["tickets", "p_cars"], "properties": {"tickets": ["subject", "content"], "p_cars": ["*"]}}
    assert posted(api) == [(f"{BASE}/sync", wanted)]


def test_a_property_without_its_type_asks_nothing() -> None:
    api = FakeExportApi()
    assert run(api, "sync", "--property", "subject").exit_code == 2
    assert api.asked == []


def test_sync_passes_on_how_to_look_for_changes() -> None:
    api = FakeExportApi()
    assert run(api, "sync", "--mode", "incremental", "--confirm-deletions").exit_code == 0
    assert posted(api) == [(f"{BASE}/sync", {"mode": "incremental", "confirm_deletions": True})]


def test_a_sync_whose_answer_is_lost_is_started_once() -> None:
    api = FakeExportApi(failures=deque([httpx.ReadTimeout("slow")]))
    assert run(api, "sync").exit_code == 0
    assert len({each.headers["idempotency-key"] for each in api.asked}) == 1


def test_sync_wait_ends_with_the_job_and_shows_it() -> None:
    result = run(FakeExportApi(), "sync", "--wait")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["data"]["status"] == "succeeded"
    assert f"job {JOB_ID}" in result.stderr


def test_a_sync_of_which_a_part_failed_is_no_success() -> None:
    result = run(FakeExportApi(states=["running", "failed"], error=FAILURE), "sync", "--wait")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["data"]["error"] == FAILURE
    assert "1 of 4 exports failed: deals: missing scopes" in result.stderr


def test_a_type_that_there_is_not_is_refused_by_the_api() -> None:
    answer = refusal(400, "data not found on object of type", code="unsupported_type")
    result = run(FakeExportApi(failures=deque([answer])), "sync", "--types", "tickets")
    assert (result.exit_code, "unsupported_type" in result.stderr) == (1, True)


def test_a_dry_run_of_a_sync_starts_nothing_and_shows_the_plan() -> None:
    plan = {"success": True, "data": {"dry_run": True}}
    api = FakeExportApi(failures=deque([httpx.Response(200, json=plan)]))
    result = run(api, "sync", "--types", "deals", "--dry-run")
    assert (result.exit_code, json.loads(result.stdout)) == (0, plan)
    assert posted(api) == [(f"{BASE}/sync", {"types": ["deals"], "dry_run": True})]
    assert run(api, "sync", "--dry-run", "--wait").exit_code == 2


def test_sync_passes_on_the_webhook() -> None:
    api = FakeExportApi()
    assert run(api, "sync", "--webhook", "https://example.com/hook").exit_code == 0
    assert posted(api) == [(f"{BASE}/sync", {"webhook": {"url": "https://example.com/hook"}})]
