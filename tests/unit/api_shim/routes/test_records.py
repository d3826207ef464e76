"""`/records/{type}`: the current copy is read in the order of its changes, by the account it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import httpx
import pytest

from tests.unit.api_shim.hubspot_pages import record
from tests.unit.api_shim.shim import BASE_PATH, Json, Parts, Shim, mint, problem
from worker.current_copy.record import Record
from worker.records.types import CONTACTS, DOCUMENTED_TYPES, CopyId, ExportType

UNKNOWN = {"success": False, "errno": 404, "message": "RESOURCE_NOT_FOUND", "code": "record_not_found"}


def put(parts: Parts, *numbers: int, export_type: str = "contacts", account_id: str = "a1") -> datetime:
    """Store new records, as a sync does; return when."""
    copy = CopyId(account_id=account_id, export_type=ExportType(export_type))
    moment = parts.records.begin_change(copy)
    brought = [Record.of(number, json.dumps(record(export_type, number)).encode()) for number in numbers]
    parts.records.insert(copy, brought, at=moment.at, sync_id="s1")
    return moment.at


def mark_deleted(parts: Parts, *numbers: int) -> datetime:
    """Mark records as deleted, as a sync does; return when."""
    copy = CopyId(account_id="a1", export_type=CONTACTS)
    at = parts.records.begin_change(copy).at
    parts.records.mark_deleted(copy, numbers, unless_since=at, at=at, sync_id="s2")
    return at


def listed(shim: Shim, **query: str | int) -> Json:
    answer = shim.get(f"/records/contacts?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def ids(body: Json) -> list[int]:
    return [each["id"] for each in body["data"]]


def written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("export_type", list(DOCUMENTED_TYPES))
def test_a_record_is_shown_as_hubspot_sent_it(shim: Shim, parts: Parts, export_type: str) -> None:
    at = put(parts, 501, export_type=export_type)
    answer = shim.get(f"/records/{export_type}/501")
    shown = {
        "id": 501,
        "type": export_type,
        "synced_at": written(at),
        "changed_at": written(at),
        "deleted_at": None,
        "sync_id": "s1",
        "record": record(export_type, 501),
    }
    assert (answer.status_code, answer.json()) == (200, {"success": True, "message": "Record found", "data": shown})
    assert shim.get(f"/records/{export_type}").json()["data"] == [shown]


def test_hubspots_bytes_come_as_they_are(shim: Shim, parts: Parts) -> None:
    body = rb'{"vid": 1, "n": 123456789012345678901234567890, "cut": "\ud83d", "a":1, "a":2}'
    copy = CopyId(account_id="a1", export_type=CONTACTS)
    parts.records.insert(copy, [Record.of(1, body)], at=parts.records.begin_change(copy).at, sync_id="s1")
    assert body in shim.get("/records/contacts/1").content
    assert body in shim.get("/records/contacts").content


def test_a_record_that_is_deleted_at_hubspot_is_still_shown(shim: Shim, parts: Parts) -> None:
    put(parts, 501)
    at = mark_deleted(parts, 501)
    data = shim.get("/records/contacts/501").json()["data"]
    assert (data["deleted_at"], data["changed_at"], data["sync_id"]) == (written(at), written(at), "s2")
    assert data["record"] == {"vid": 501}


@pytest.mark.parametrize("path", ["/records/contacts/502", "/records/deals/501", f"/records/contacts/{2**63 - 1}"])
def test_an_unknown_record_is_not_found(shim: Shim, parts: Parts, path: str) -> None:
    put(parts, 501)
    assert problem(shim.get(path)) == (404, UNKNOWN)


def test_another_accounts_records_do_not_exist(shim: Shim, parts: Parts) -> None:
    put(parts, 501)
    stranger = f"Bearer {mint({'account_id': 'a2'})}"
    assert problem(shim.get("/records/contacts/501", authorization=stranger)) == (404, UNKNOWN)
    empty = {"success": True, "message": "Records found", "data": [], "pagination": {"hasMore": None, "cursor": None}}
    assert shim.get("/records/contacts", authorization=stranger).json() == empty


@pytest.mark.parametrize(
    ("deleted", "expected"), [(None, [1, 3]), ("", [1, 3]), ("false", [1, 3]), ("true", [1, 3, 2]), ("only", [2])]
)
def test_the_deleted_are_shown_when_they_are_asked_for(
    shim: Shim, parts: Parts, deleted: str | None, expected: list[int]
) -> None:
    put(parts, 1, 2, 3)
    mark_deleted(parts, 2)
    assert ids(listed(shim, **({} if deleted is None else {"deleted": deleted}))) == expected


def follow(shim: Shim, body: Json, **query: str | int) -> Iterator[Json]:
    """Yield a body and those after it, as long as there is more."""
    yield body
    while body["pagination"]["hasMore"]:
        body = listed(shim, cursor=body["pagination"]["cursor"], **query)
        yield body


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_a_list_is_read_by_its_cursors_to_its_end(shim: Shim, parts: Parts, limit: int) -> None:
    put(parts, *range(5, 0, -1))
    put(parts, 9, 8)
    bodies = list(follow(shim, listed(shim, limit=limit), limit=limit))
    assert [number for body in bodies for number in ids(body)] == [1, 2, 3, 4, 5, 8, 9]
    assert all(len(body["data"]) == limit for body in bodies[:-1])


def test_ten_records_come_unless_more_are_asked_for(shim: Shim, parts: Parts) -> None:
    put(parts, *range(30))
    assert len(listed(shim)["data"]) == len(listed(shim, limit="")["data"]) == 10
    assert len(listed(shim, limit=30)["data"]) == 30


def test_a_body_that_ends_early_says_that_there_is_more(shim: Shim, parts: Parts) -> None:
    copy = CopyId(account_id="a1", export_type=CONTACTS)
    large = [Record.of(number, b'{"vid":%d,"text":"%b"}' % (number, b"x" * 9_000_000)) for number in range(1, 4)]
    parts.records.insert(copy, large, at=parts.records.begin_change(copy).at, sync_id="s1")

    bodies = list(follow(shim, listed(shim, limit=100), limit=100))

    assert [ids(body) for body in bodies] == [[1, 2], [3]]


def test_the_cursor_of_the_last_body_leads_to_what_changes_later(shim: Shim, parts: Parts) -> None:
    put(parts, 1, 2)
    last = listed(shim, deleted="true")
    assert last["pagination"]["hasMore"] is None
    cursor = last["pagination"]["cursor"]
    assert listed(shim, deleted="true", cursor=cursor)["data"] == []
    assert listed(shim, deleted="true", cursor=cursor)["pagination"] == last["pagination"]

    put(parts, 0)
    mark_deleted(parts, 1)

    assert ids(listed(shim, deleted="true", cursor=cursor)) == [0, 1]


def test_changes_since_an_instant_are_those_at_it_and_after_it(shim: Shim, parts: Parts) -> None:
    put(parts, 1)
    at = put(parts, 2)
    moment = timedelta(milliseconds=1)
    for since in (written(at), str(round(at.timestamp() * 1000)), at.isoformat(), at.strftime("%Y%m%dT%H%M%S.%fZ")):
        assert ids(listed(shim, changed_since=since)) == [2]
    assert ids(listed(shim, changed_since=written(at - moment))) == [1, 2]
    assert ids(listed(shim, changed_since=written(at + moment))) == []
    assert ids(listed(shim, changed_since="")) == [1, 2]


def test_a_cursor_and_an_instant_both_hold(shim: Shim, parts: Parts) -> None:
    put(parts, 1, 2)
    cursor = listed(shim, limit=1)["pagination"]["cursor"]
    at = put(parts, 3)
    assert ids(listed(shim, cursor=cursor, changed_since=0)) == [2, 3]
    assert ids(listed(shim, cursor=cursor, changed_since=written(at))) == [3]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("deleted=yes", "deleted"),
        ("deleted=true&deleted=only", "deleted"),
        ("changed_since=yesterday", "changed_since"),
        ("changed_since=2026-11-23", "changed_since"),
        ("changed_since=2026-11-23T15:00:00", "changed_since"),
        ("changed_since=-1", "changed_since"),
        ("changed_since=999999999999999", "changed_since"),
        ("changed_since=0001-01-01T00:00:00%2B14:00", "changed_since"),
        ("changed_since=0&changed_since=0", "changed_since"),
        ("cursor=x", "cursor"),
        ("cursor=WyIyMDI2LTExLTIzVDE1OjAwOjAwWiIsICJ4Il0", "cursor"),
        ("cursor=%F0%9F%98%80", "cursor"),
    ],
)
def test_a_wrong_query_is_refused_by_the_name_of_its_field(shim: Shim, query: str, field: str) -> None:
    refused(shim.get(f"/records/contacts?{query}"), field)


@pytest.mark.parametrize("record_id", ["x", "-1", "1.0", str(2**63), "9" * 30, " 1", "%00", "٣"])
def test_an_id_that_no_record_can_have_is_refused(shim: Shim, record_id: str) -> None:
    refused(shim.get(f"/records/contacts/{quote(record_id, safe='%')}"), "record_id")


def refused(answer: httpx.Response, field: str) -> None:
    status, body = problem(answer)
    assert (status, body["code"]) == (400, "invalid_request")
    assert body["message"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", ["/records/tickets", "/records/tickets/1"])
def test_an_unknown_type_is_refused(shim: Shim, path: str) -> None:
    status, body = problem(shim.get(path))
    assert (status, body["code"]) == (400, "unsupported_type")


@pytest.mark.parametrize("path", ["/records/contacts", "/records/contacts/1", "/records/contacts?limit=0"])
def test_nobody_reads_without_a_jwt(shim: Shim, path: str) -> None:
    assert shim.ask("GET", f"{BASE_PATH}{path}", authorization="").status_code == 401
    scopeless = f"Bearer {mint({'scope': 'tickets'})}"
    assert shim.get(path, authorization=scopeless).status_code == 403


@pytest.mark.parametrize("path", ["/records/contacts", "/records/contacts/1"])
def test_an_absent_database_is_named(shim: Shim, parts: Parts, path: str) -> None:
    parts.records.is_away = True
    status, body = problem(shim.get(path))
    assert (status, body["code"], body["message"]) == (503, "unavailable", "The database is not available")
