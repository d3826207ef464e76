"""`DELETE /records/{type}/{id}`: a record is gone from the copy and from the results of every job of the account."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.routes.test_records import UNKNOWN, put, written
from tests.unit.api_shim.routes.test_results import loop
from tests.unit.api_shim.shim import BASE_PATH, Parts, Shim, mint, problem
from worker.errors import StoreUnavailableError


def erase(shim: Shim, record_id: int | str, *, export_type: str = "contacts", account_id: str = "a1") -> httpx.Response:
    return shim.ask(
        "DELETE",
        f"{BASE_PATH}/records/{export_type}/{record_id}",
        authorization=f"Bearer {mint({'account_id': account_id})}",
    )


def exported(shim: Shim) -> str:
    """Export eight contacts, in three pages."""
    job_id = shim.start("contacts")
    bodies = (body_of("contacts", [1, 2, 3], offset=3), body_of("contacts", [4, 5], offset=5))
    shim.worker.export(job_id, *bodies, body_of("contacts", [6, 7, 8]))
    return job_id


def test_a_record_is_gone_from_the_copy_and_from_results(shim: Shim, parts: Parts) -> None:
    put(parts, 1, 5)
    job_id = exported(shim)

    answer = erase(shim, 5)

    assert (answer.status_code, answer.content) == (204, b"")
    assert problem(shim.get("/records/contacts/5")) == (404, UNKNOWN)
    (body,) = loop(shim, job_id, limit=100)
    assert [each["vid"] for each in body["data"]["contacts"]] == [1, 2, 3, 4, 6, 7, 8]
    assert (body["data"]["vid-offset"], body["pagination"]["offset"]) == (8, 8)


def test_who_follows_the_copy_is_told_that_a_record_is_gone_and_nothing_else_of_it(shim: Shim, parts: Parts) -> None:
    at = put(parts, 1, 5)
    cursor = shim.get("/records/contacts?deleted=true").json()["pagination"]["cursor"]
    parts.clock.advance(60)
    erase(shim, 5)

    told = shim.get(f"/records/contacts?deleted=true&cursor={cursor}").json()["data"]

    erased_at = written(parts.clock())
    instants = {"synced_at": written(at), **dict.fromkeys(("changed_at", "deleted_at", "erased_at"), erased_at)}
    assert told == [{"id": 5, "type": "contacts", **instants, "sync_id": "s1", "record": None}]
    assert shim.get("/records/contacts?deleted=only").json()["data"] == told
    assert [each["id"] for each in shim.get("/records/contacts").json()["data"]] == [1]


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
def test_who_reads_results_meanwhile_misses_no_other_record(shim: Shim, limit: int) -> None:
    job_id = exported(shim)
    first = shim.get(f"/jobs/{job_id}/results?limit={limit}").json()
    erase(shim, 1)
    erase(shim, limit + 1)
    bodies = loop(shim, job_id, limit=limit)
    seen = [each["vid"] for body in bodies for each in body["data"]["contacts"]]
    assert seen == [number for number in range(1, 9) if number not in {1, limit + 1}]
    assert len(bodies) == len(list(range(0, 8, limit)))
    rest = shim.get(f"/jobs/{job_id}/results?limit=100&offset={first['pagination']['offset']}").json()
    assert [each["vid"] for each in rest["data"]["contacts"]] == list(range(limit + 2, 9))


def test_a_job_of_which_everything_was_erased_is_still_there(shim: Shim) -> None:
    job_id = exported(shim)
    for number in range(1, 9):
        erase(shim, number)
    (body,) = loop(shim, job_id, limit=100)
    assert (body["data"]["contacts"], body["pagination"]) == ([], {"hasMore": None, "offset": 8})


def test_a_download_is_without_the_record_and_another_file_than_before(shim: Shim) -> None:
    job_id = exported(shim)
    before = shim.get(f"/jobs/{job_id}/download")
    erase(shim, 5)
    after = shim.get(f"/jobs/{job_id}/download")
    assert after.content == before.content.replace(b'{"vid": 5}\n', b"")
    assert before.headers["etag"] != after.headers["etag"]


def test_a_page_that_was_waited_for_is_without_the_record(shim: Shim, parts: Parts) -> None:
    with shim.exporting(body_of("contacts", [1, 2])):
        assert shim.get("/export/contacts").json()["data"]["contacts"] == [{"vid": 1}, {"vid": 2}]
    erase(shim, 2)
    (page,) = [parts.pages.get(job.job_id, 0) for job in parts.jobs.all]
    assert b'"vid": 2' not in page.body


def test_what_is_not_there_is_gone_as_well(shim: Shim, parts: Parts) -> None:
    assert erase(shim, 5).status_code == erase(shim, 5).status_code == 204
    assert [(erasure.record_id, erasure.requested_by) for erasure in parts.erasures.all] == [(5, "u1")] * 2


def test_another_account_erases_its_own_records_only(shim: Shim, parts: Parts) -> None:
    put(parts, 5)
    job_id = exported(shim)
    assert erase(shim, 5, account_id="a2").status_code == 204
    assert shim.get("/records/contacts/5").status_code == 200
    assert len(shim.get(f"/jobs/{job_id}/results").json()["data"]["contacts"]) == 8


def test_what_takes_longer_is_accepted(shim: Shim, parts: Parts) -> None:
    put(parts, 5)
    parts.records.is_away = True
    answer = erase(shim, 5)
    assert (answer.status_code, answer.json()) == (202, {"success": True, "message": "Erasure accepted"})
    parts.records.is_away = False
    parts.clock.advance(61)
    parts.eraser.recover_interrupted()
    assert shim.get("/records/contacts/5").status_code == 404


def test_what_cannot_be_written_down_is_refused(shim: Shim, parts: Parts) -> None:
    parts.erasures.is_away = True
    status, body = problem(erase(shim, 5))
    assert (status, body["code"], body["message"]) == (503, "unavailable", StoreUnavailableError().message)


@pytest.mark.parametrize(
    ("path", "code"),
    [("contacts/x", "invalid_request"), ("contacts/-1", "invalid_request"), ("x/1", "unsupported_type")],
)
def test_what_no_record_can_be_called_is_refused(shim: Shim, parts: Parts, path: str, code: str) -> None:
    status, body = problem(shim.delete(f"/records/{path}"))
    assert (status, body["code"]) == (400, code)
    assert parts.erasures.all == []


def test_nobody_erases_without_a_jwt(shim: Shim, parts: Parts) -> None:
    path = f"{BASE_PATH}/records/contacts/5"
    assert shim.ask("DELETE", path, authorization="").status_code == 401
    assert shim.ask("DELETE", path, authorization=f"Bearer {mint({'scope': 'tickets'})}").status_code == 403
    assert parts.erasures.all == []
