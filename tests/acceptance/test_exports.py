"""Every record of every type exactly once, by the synchronous call and by jobs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
import requests

from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor
from sandbox.stack import Stack
from tests.acceptance.client import IN_PORTAL, LIST_KEYS, TYPES, Client, ids_of
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return connect(stack, contacts=230, companies=260, deals=255, engagements=130)


@pytest.mark.parametrize("export_type", TYPES)
def test_the_documented_loop_reads_every_record_once(client: Client, export_type: str) -> None:
    ids: list[int] = []
    for body in client.pages(f"/export/{export_type}", limit=50):
        assert list(body) == ["success", "message", "data", "pagination"]
        assert (body["success"], body["message"]) == (True, "DATA Recieved")
        ids += ids_of(export_type, body["data"][LIST_KEYS[export_type]])
    assert ids == client.ids_in_hubspot(export_type)


@pytest.mark.parametrize("export_type", TYPES)
def test_a_job_and_its_results_hold_every_record_once(client: Client, export_type: str) -> None:
    path = client.start(export_type, {"label": "nightly"})
    job = client.finished(path)
    assert (job["status"], job["label"], job["error"]) == ("succeeded", "nightly", None)
    expected = client.ids_in_hubspot(export_type)
    assert job["progress"]["records"] == len(expected)
    ids: list[int] = []
    for body in client.pages(f"{path}/results", limit=37):
        ids += ids_of(export_type, body["data"][LIST_KEYS[export_type]])
    assert ids == expected


@pytest.mark.parametrize("final", ["zero", "none"])
@pytest.mark.parametrize("form", get_args(CursorForm))
def test_the_loop_and_jobs_read_every_record_once_whatever_hubspots_offsets_name(
    stack: Stack, form: CursorForm, final: FinalCursor
) -> None:
    client = connect(stack, contacts=60, companies=60, deals=60, engagements=60)
    for_all = IN_PORTAL.values()
    stack.hubspot_control.change_account(
        client.account.hub_id,
        cursor_forms=dict.fromkeys(for_all, form),  # type: ignore[arg-type]  # its keys are literals
        final_cursors=dict.fromkeys(for_all, final),  # type: ignore[arg-type]
    )
    for export_type in TYPES:
        expected = client.ids_in_hubspot(export_type)
        pages = client.pages(f"/export/{export_type}", limit=7)
        looped = [each for body in pages for each in ids_of(export_type, body["data"][LIST_KEYS[export_type]])]
        path = client.start(export_type, {"page_size": 7})
        job = client.finished(path)

        assert looped == client.stored_ids(path, export_type) == expected
        assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True)


@pytest.mark.parametrize("export_type", TYPES)
def test_data_is_hubspots_body_to_the_byte(client: Client, stack: Stack, export_type: str) -> None:
    answer = client.get(f"/export/{export_type}", [("limit", "20")])
    asked = client.calls(type=IN_PORTAL[export_type])[-1]
    token = stack.hubspot_control.issue_access_token(client.account.hub_id)
    direct = requests.get(
        f"{stack.hubspot_url}{asked['path']}",
        params=[tuple(pair) for pair in asked["query"]],
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE_S,
    )
    page = json.loads(direct.content)
    head = b'{"success":true,"message":"DATA Recieved","data":'
    assert answer.content.startswith(head + direct.content)
    more = page.get("has-more", page.get("hasMore"))
    offset = page.get("vid-offset", page.get("offset"))
    assert answer.json()["pagination"] == {"hasMore": more or None, "offset": offset}


@pytest.mark.parametrize("export_type", TYPES)
def test_results_have_the_keys_of_hubspots_body(client: Client, export_type: str) -> None:
    direct = client.get(f"/export/{export_type}").json()["data"]
    path = client.start(export_type, {"limit": 5})
    client.finished(path)
    assert set(client.get(f"{path}/results").json()["data"]) == set(direct)


def test_the_token_is_renewed_once_and_written_back(stack: Stack) -> None:
    client = connect(stack, contacts=30)
    for _ in range(3):
        assert client.get("/export/contacts").status_code == 200
    assert len(client.calls(type="token")) == 1
    (document,) = client.documents("key", account_id=client.account.account_id)
    assert document["access_token"] != "ended-yesterday"
    assert datetime.now(UTC) - document["generated_at"] < timedelta(minutes=1)
    assert document["expires_in"] == 1800


def test_deals_pass_every_further_parameter_on_with_repeats(client: Client) -> None:
    query = [("properties", "amount"), ("limit", "3"), ("properties", "dealstage"), ("x", "ü&=")]
    assert client.get("/export/deals", query).status_code == 200
    assert [tuple(pair) for pair in client.calls(type="deals")[-1]["query"]] == [
        ("properties", "dealname"),
        ("includeAssociations", "true"),
        ("limit", "3"),
        ("properties", "amount"),
        ("properties", "dealstage"),
        ("x", "ü&="),
    ]


def test_the_other_types_pass_nothing_on(client: Client) -> None:
    assert client.get("/export/contacts", [("property", "email")]).status_code == 200
    assert [tuple(pair) for pair in client.calls(type="contacts")[-1]["query"]] == [("count", "10")]


def test_a_job_sends_its_own_parameters_with_every_page(client: Client) -> None:
    path = client.start("contacts", {"params": {"property": ["email", "phone"]}, "page_size": 100})
    assert client.finished(path)["request"]["params"] == {"property": ["email", "phone"]}
    for call in client.calls(type="contacts")[-3:]:
        assert [pair for pair in call["query"] if pair[0] == "property"] == [
            ["property", "email"],
            ["property", "phone"],
        ]


def test_a_limit_stops_at_exactly_so_many_records(client: Client) -> None:
    path = client.start("companies", {"limit": 55, "page_size": 20})
    job = client.finished(path)
    assert (job["progress"]["records"], job["progress"]["pages"]) == (55, 3)
    (body,) = client.pages(f"{path}/results", limit=1000)
    assert ids_of("companies", body["data"]["companies"]) == client.ids_in_hubspot("companies")[:55]


def test_a_job_starts_where_it_was_asked_to(client: Client) -> None:
    ids = client.ids_in_hubspot("contacts")
    path = client.start("contacts", {"offset": ids[99]})
    assert client.finished(path)["progress"]["records"] == len(ids) - 100


def test_an_empty_account_gives_an_empty_page_and_an_empty_export(stack: Stack) -> None:
    client = connect(stack)
    for export_type in TYPES:
        body = client.get(f"/export/{export_type}").json()
        assert body["data"][LIST_KEYS[export_type]] == []
        assert body["pagination"] == {"hasMore": None, "offset": None}
    job = client.finished(client.start("contacts"))
    assert (job["status"], job["progress"]["records"]) == ("succeeded", 0)


def test_a_finished_job_says_when_it_will_be_removed(client: Client) -> None:
    job = client.finished(client.start("contacts", {"limit": 1}))
    kept = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["finished_at"])
    assert kept == timedelta(days=30)


def test_respond_async_answers_with_a_job_that_holds_the_page(client: Client) -> None:
    answer = client.get("/export/contacts", Prefer="respond-async")
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    path = answer.headers["Location"].removeprefix("/v1/integrations/hubspot")
    assert client.finished(path)["progress"]["records"] == 10


def test_results_can_be_read_while_the_job_runs(stack: Stack) -> None:
    client = connect(stack, contacts=500)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.3)
    path = client.start("contacts", {"page_size": 100})
    ids: list[int] = []
    statuses = set()
    for body in client.pages(f"{path}/results", limit=1000):
        ids += ids_of("contacts", body["data"]["contacts"])
        statuses.add(client.job(path)["status"])
    assert ids == client.ids_in_hubspot("contacts")
    assert "running" in statuses


def test_before_the_first_page_there_is_more_to_come_from_the_start(stack: Stack) -> None:
    client = connect(stack, contacts=100)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=4.0)
    path = client.start("contacts")
    first = client.get(f"{path}/results").json()
    assert first["data"] == {"contacts": [], "has-more": True, "vid-offset": 0}
    assert first["pagination"] == {"hasMore": True, "offset": 0}
    assert client.finished(path)["status"] == "succeeded"


def test_another_accounts_job_does_not_exist(stack: Stack, client: Client) -> None:
    path = client.start("contacts", {"limit": 1})
    stranger = connect(stack)
    unknown = stranger.get("/jobs/00000000-0000-4000-8000-000000000000")
    for address in (path, f"{path}/results"):
        answer = stranger.get(address)
        assert (answer.status_code, answer.content) == (404, unknown.content)
