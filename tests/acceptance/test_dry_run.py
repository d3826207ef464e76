"""`"dry_run": true`: what an export would come to, on both of HubSpot's APIs, with nothing started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox.stack import Stack, StackOptions
from tests.acceptance.client import TYPES, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import PLAIN, Crew, SharedStacks

LIMITED = {"HUBSPOT_RATE_LIMIT": "110/10"}
RECORDS = {"contacts": 250, "companies": 260, "deals": 0, "engagements": 20}
CALLS = {"contacts": 3, "companies": 2, "deals": 1, "notes": 1}
KINDS = ("notes", "calls", "emails", "meetings", "tasks")
DATED_CALLS = CALLS | {"companies": 3, "notes": len(KINDS)}


@pytest.fixture
def legacy(stacks: SharedStacks, further_settings: dict[str, str]) -> Iterator[Stack]:
    with stacks.lent(plain(further_settings), Crew(slots=16, settings=LIMITED)) as running:
        yield running


@pytest.fixture
def dated(stacks: SharedStacks, further_settings: dict[str, str]) -> Iterator[Stack]:
    with stacks.lent(plain(further_settings), Crew(slots=16, settings={**LIMITED, "HUBSPOT_API": "dated"})) as running:
        yield running


def plain(further_settings: dict[str, str]) -> StackOptions:
    return replace(PLAIN, settings={**PLAIN.settings, **further_settings})


def planned(client: Client, export_type: str, **body: object) -> Json:
    """Plan an export; give what is said of the whole, and of that one."""
    answer = client.post(f"/export/{export_type}", {"dry_run": True, **body})
    assert answer.status_code == 200, answer.text
    data: Json = answer.json()["data"]
    assert data["dry_run"] is True
    assert len(data["exports"]) == 1
    return data


def require_nothing_started(client: Client) -> None:
    assert client.documents("jobs", account_id=client.account.account_id) == []
    assert client.documents("pages", account_id=client.account.account_id) == []


def test_before_the_first_export_of_a_legacy_list_nobody_knows(legacy: Stack) -> None:
    client = connect(legacy, **RECORDS)
    for export_type in TYPES:
        whole = planned(client, export_type)
        (export,) = whole["exports"]
        assert (export["type"], export["missing_scopes"]) == (export_type, [])
        assert [export[name] for name in ("records", "calls", "seconds", "basis", "as_of")] == [None] * 5
        assert whole["quota"] == {"calls": 110, "seconds": 10.0, "share": None, "daily": None}
        assert whole["connection"]["hub_id"] == client.account.hub_id
    require_nothing_started(client)
    assert [call["type"] for call in client.calls()] == ["token"]  # which has told the scopes


def test_after_an_export_the_next_is_known_by_it(legacy: Stack) -> None:
    client = connect(legacy, **RECORDS)
    jobs = {export_type: client.finished(client.start(export_type)) for export_type in TYPES}

    for export_type in TYPES:
        whole = planned(client, export_type)
        (export,) = whole["exports"]
        assert (export["basis"], export["as_of"]) == ("last_export", jobs[export_type]["finished_at"])
        assert export["records"] == jobs[export_type]["progress"]["records"]
        assert export["calls"] == whole["calls"] == CALLS[export_type]
        assert whole["quota"]["share"] == pytest.approx(CALLS[export_type] / 110, abs=1e-4)
        assert 0 <= whole["seconds"] < 10
    assert len(client.documents("jobs", account_id=client.account.account_id)) == len(TYPES)


def test_a_limit_is_the_most_there_can_be(legacy: Stack) -> None:
    client = connect(legacy, **RECORDS)

    (export,) = planned(client, "companies", limit=510, page_size=100, label="x")["exports"]

    assert (export["records"], export["calls"], export["basis"], export["as_of"]) == (510, 6, "limit", None)
    assert export["request"] == {"limit": 510, "page_size": 100, "offset": None, "params": {}}


def test_what_would_fail_fails_in_the_same_words(legacy: Stack) -> None:
    client = connect(legacy, **RECORDS)
    legacy.hubspot_control.revoke(client.account.hub_id)

    refused = client.post("/export/contacts", {"dry_run": True})

    assert (refused.status_code, refused.json()["code"]) == (502, "reconnect_required")
    client.delete("/connection")
    assert client.post("/export/contacts", {"dry_run": True}).json()["code"] == "token_not_found"
    require_nothing_started(client)


def test_only_true_and_false_say_whether_to_run(legacy: Stack) -> None:
    client = connect(legacy)
    wrongs: list[object] = ["yes", 1, "true", []]
    for wrong in wrongs:
        answer = client.post("/export/contacts", {"dry_run": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert answer.json()["message"].startswith("dry_run: ")
    require_nothing_started(client)


def test_the_dated_api_counts_for_itself_and_its_export_tells_when_it_will_be_done(dated: Stack) -> None:
    client = connect(dated, **RECORDS)
    for export_type, calls in DATED_CALLS.items():
        (export,) = planned(client, export_type)["exports"]
        kinds = KINDS if export_type == "notes" else (export_type,)
        held = sum(len(dated.hubspot_control.record_ids(client.account.hub_id, kind)) for kind in kinds)
        assert (export["records"], export["calls"], export["basis"]) == (held, calls, "hubspot")
    require_nothing_started(client)

    dated.hubspot_control.change_account(client.account.hub_id, latency_s=0.5)
    path = client.start("contacts")
    job = client.reached(path, pages=1)

    assert job["eta_seconds"] is not None
    assert 0 < job["eta_seconds"] < 10
    assert client.finished(path)["eta_seconds"] is None


def test_a_scope_that_is_missing_is_named_before_anything_is_asked_with_it(dated: Stack) -> None:
    client = connect(dated, **RECORDS)
    dated.hubspot_control.change_account(client.account.hub_id, scopes=("oauth", "crm.objects.contacts.read"))

    plans = {export_type: planned(client, export_type)["exports"][0] for export_type in TYPES}

    assert {name: plan["missing_scopes"] for name, plan in plans.items()} == {
        "contacts": [],
        "companies": ["crm.objects.companies.read"],
        "deals": ["crm.objects.deals.read"],
        "notes": [],
    }
    assert [plans[name]["records"] for name in ("companies", "deals")] == [None, None]
    refused = {call["path"] for call in client.calls(type="search", status=403)}
    assert refused == {"/crm/objects/2026-09/emails/search"}  # a kind of `notes` that may be missing
    missing = client.get("/connection").json()["data"]["missing_scopes"]
    assert missing.keys() & {*TYPES} == {"companies", "deals"}
