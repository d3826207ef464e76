"""An account that is connected to another HubSpot portal: what it reads, may go on with, and removes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, TypeAdapter

from api_shim.requests.cursors import CursorFormat, KeyInstant, KeyNumber
from tests.unit.api_shim.shim import Shim, token_of
from worker.accounts.connection import Fingerprint, TokenInfo
from worker.current_copy.record import Record, Shown
from worker.errors import FatalHubSpotError
from worker.records.types import CONTACTS, CopyId

FIRST, SECOND = 111, 222


def connect(shim: Shim, hub_id: int | None, *, account_id: str = "a1", owner: str = "u1") -> None:
    """Store a token of a portal, as connecting does."""
    grant = SecretStr(f"refresh-{account_id}-{owner}-{hub_id}")
    token = replace(token_of(account_id, owner), refresh_token=grant)
    shim.tokens.put(token)
    if hub_id is None:
        return
    facts = TokenInfo(hub_id=hub_id, scopes=())
    shim.connections.learn(account_id, owner, facts, fingerprint=Fingerprint.of(token), at=shim.clock())
    shim.portals.see(account_id, hub_id)
    shim.clock.advance(60)


def copy_of(hub_id: int | None, account_id: str = "a1") -> CopyId:
    return CopyId(account_id=account_id, export_type=CONTACTS, hub_id=hub_id)


def store(shim: Shim, hub_id: int | None, *ids: int) -> None:
    """Put contacts into the copy of a portal."""
    copy = copy_of(hub_id)
    for each in ids:
        at = shim.records.begin_change(copy).at
        body = json.dumps({"vid": each, "portal-id": hub_id}).encode()
        shim.records.insert(copy, [Record.of(each, body)], at=at, sync_id="s1")


def listed(shim: Shim, query: str = "") -> list[int]:
    answer = shim.get(f"/records/contacts{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def portals(shim: Shim) -> list[tuple[int, bool]]:
    return [(each["hub_id"], each["connected"]) for each in shim.get("/connection").json()["data"]["portals"]]


def test_the_connection_lists_the_portals_that_were_seen(shim: Shim) -> None:
    connect(shim, FIRST)
    connect(shim, SECOND)

    shown = shim.get("/connection").json()["data"]

    assert shown["hub_id"] == SECOND
    assert [(each["hub_id"], each["connected"]) for each in shown["portals"]] == [(SECOND, True), (FIRST, False)]
    for portal in shown["portals"]:
        assert datetime.fromisoformat(portal["first_seen_at"]) <= datetime.fromisoformat(portal["last_seen_at"])


def test_records_are_those_of_the_connected_portal(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1, 2)
    connect(shim, SECOND)
    assert listed(shim) == []
    store(shim, SECOND, 2, 3)

    assert listed(shim) == [2, 3]
    assert shim.get("/records/contacts/2").json()["data"]["record"]["portal-id"] == SECOND
    assert shim.get("/records/contacts/1").status_code == 404
    connect(shim, FIRST)
    assert listed(shim) == [1, 2]


def test_while_nobody_has_told_the_portal_the_last_ones_records_are_read(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1)
    connect(shim, SECOND)
    store(shim, SECOND, 2)
    connect(shim, None)
    assert listed(shim) == [2]

    assert shim.delete("/connection").status_code == 204
    assert listed(shim) == [2]


def test_a_cursor_of_another_portal_is_refused(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1, 2)
    cursor = shim.get("/records/contacts?limit=1").json()["pagination"]["cursor"]
    assert listed(shim, f"?cursor={cursor}") == [2]
    connect(shim, SECOND)
    store(shim, SECOND, 5)

    answer = shim.get(f"/records/contacts?cursor={cursor}")

    body = answer.json()
    assert (answer.status_code, body["errno"], body["code"]) == (409, 409, "portal_changed")
    assert str(FIRST) in body["message"]
    assert str(SECOND) in body["message"]
    assert "without a cursor" in body["details"]
    connect(shim, FIRST)
    assert listed(shim, f"?cursor={cursor}") == [2]


def test_a_cursor_of_an_older_version_belongs_to_the_first_portal(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1, 2)
    older = CursorFormat(TypeAdapter(tuple[KeyInstant, KeyNumber])).write((datetime(2020, 1, 1, tzinfo=UTC), 1))
    assert listed(shim, f"?cursor={older}") == [1, 2]
    connect(shim, SECOND)

    assert shim.get(f"/records/contacts?cursor={older}").json()["code"] == "portal_changed"


def test_a_job_of_another_portal_is_not_retried(shim: Shim) -> None:
    connect(shim, FIRST)
    job_id = shim.post("/export/contacts", {}).json()["data"]["job_id"]
    job = replace(shim.jobs.get(job_id, account_id="a1"), hub_id=FIRST)
    failed = replace(job, status="running").fail(FatalHubSpotError("no", status=400), at=shim.clock())  # type: ignore[arg-type]
    shim.jobs.put(failed)
    connect(shim, SECOND)

    answer = shim.post(f"/jobs/{job_id}/retry", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "portal_changed")
    connect(shim, FIRST)
    assert shim.post(f"/jobs/{job_id}/retry", {}).status_code == 202


def test_an_old_portals_copy_is_removed(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1, 2)
    connect(shim, SECOND)
    store(shim, SECOND, 3)

    assert shim.delete(f"/connection/portals/{FIRST}").status_code == 204

    assert portals(shim) == [(SECOND, True)]
    assert shim.records.read(copy_of(FIRST), shown=Shown.ALL, since=None, after=None, limit=9) == []
    assert listed(shim) == [3]
    again = shim.delete(f"/connection/portals/{FIRST}")
    assert (again.status_code, again.json()["code"]) == (404, "portal_not_found")


def test_the_copy_of_a_connected_portal_is_not_removed(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1)
    connect(shim, SECOND, owner="u2")

    for hub_id in (FIRST, SECOND):
        answer = shim.delete(f"/connection/portals/{hub_id}")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    assert listed(shim) == [1]


def test_without_a_connection_any_portals_copy_is_removed(shim: Shim) -> None:
    connect(shim, FIRST)
    store(shim, FIRST, 1)
    shim.delete("/connection")

    assert shim.delete(f"/connection/portals/{FIRST}").status_code == 204
    assert listed(shim) == []


def test_nobody_removes_anything_of_another_account(shim: Shim) -> None:
    connect(shim, FIRST, account_id="a2")
    connect(shim, SECOND)

    assert shim.delete(f"/connection/portals/{FIRST}").status_code == 404
    assert [portal.hub_id for portal in shim.portals.seen_by("a2")] == [FIRST]


@pytest.mark.parametrize("hub_id", ["x", "-1", "1.5", str(2**63)])
def test_what_is_no_hub_id_is_refused_by_its_name(shim: Shim, hub_id: str) -> None:
    answer = shim.delete(f"/connection/portals/{hub_id}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["message"].startswith("hub_id: ")
