"""`POST /export/{type}` and `GET /jobs/{id}`: an export as a job that can be watched."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.patience import PATIENCE_S
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Shim, mint
from worker.errors import FatalHubSpotError, JsonValue
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind

MOST = {"contacts": 100, "companies": 250, "deals": 250, "notes": 250}
NOW = "2026-11-23T15:00:00Z"


def asked(shim: Shim, body: object, export_type: str = "contacts") -> ExportRequest:
    shim.start(export_type, body)
    return shim.jobs.all[-1].request


def test_an_export_is_accepted_with_the_job_and_where_it_lives(shim: Shim) -> None:
    answer = shim.post("/export/contacts", {"label": "nightly"})

    job_id = answer.json()["data"]["job_id"]
    path = f"{BASE_PATH}/jobs/{job_id}"
    assert answer.status_code == 202
    assert answer.headers["Location"] == path
    assert int(answer.headers["Retry-After"]) > 0
    assert re.fullmatch(r"[0-9a-f-]{36}", job_id)
    assert answer.json() == {
        "success": True,
        "message": "Export accepted",
        "data": {
            "job_id": job_id,
            "type": "contacts",
            "status": "queued",
            "label": "nightly",
            "parent_id": None,
            "children": [],
            "hub_id": None,
            "request": {"limit": None, "page_size": 100, "offset": None, "params": {}},
            "progress": {
                "pages": 0,
                "records": 0,
                "readable": 0,
                "offset": None,
                "has_more": True,
                "records_per_second": None,
                "unsplit_because": None,
            },
            "eta_seconds": None,
            "attempts": 0,
            "resumes": 0,
            "api": None,
            "error": None,
            "receipt": None,
            "changes": None,
            "sync_mode": None,
            "resume_at": None,
            "reason": None,
            "created_at": NOW,
            "started_at": None,
            "updated_at": NOW,
            "finished_at": None,
            "expires_at": None,
            "webhook": None,
            "links": {"self": path, "results": f"{path}/results", "download": f"{path}/download"},
        },
    }
    assert [job.job_id for job in shim.queue.published] == [job_id]
    assert shim.jobs.all[0].kind is JobKind.EXPORT


@pytest.mark.parametrize("content", [None, b"", b" \n", b"null", b"{}"])
@pytest.mark.parametrize("export_type", MOST)
def test_without_a_body_everything_is_exported(shim: Shim, export_type: str, content: bytes | None) -> None:
    answer = shim.ask("POST", f"{BASE_PATH}/export/{export_type}", content=content)

    assert answer.status_code == 202
    assert shim.jobs.all[0].request == ExportRequest(page_size=MOST[export_type])


def test_a_body_says_how_much_from_where_and_with_what(shim: Shim) -> None:
    params = {"b": ["2", "1", "2"], "a.$x": "ü", "c": []}

    assert asked(shim, {"limit": 250, "page_size": 20, "offset": 7, "params": params}) == ExportRequest(
        limit=250, page_size=20, offset=7, params=(("b", "2"), ("b", "1"), ("b", "2"), ("a.$x", "ü"))
    )


def test_numbers_may_be_digits_and_what_is_null_or_empty_is_absent(shim: Shim) -> None:
    assert asked(shim, {"limit": "5", "page_size": "", "offset": None, "label": None}) == ExportRequest(
        limit=5, page_size=100
    )


def test_a_job_shows_its_parameters_as_they_were_given(shim: Shim) -> None:
    job_id = shim.start("contacts", {"params": {"property": ["a", "b"], "x": "1", "y": ["2"]}})

    shown = shim.get(f"/jobs/{job_id}").json()["data"]["request"]["params"]

    assert shown == {"property": ["a", "b"], "x": "1", "y": "2"}


def test_a_job_shows_how_far_it_has_come(shim: Shim) -> None:
    job_id = shim.start("contacts")
    job = shim.worker.start(job_id)
    shim.clock.advance(4)
    shim.worker.store(job, body_of("contacts", range(50), offset=77))

    shown = shim.get(f"/jobs/{job_id}").json()

    assert (shown["success"], shown["data"]["status"], shown["data"]["started_at"]) == (True, "running", NOW)
    assert shown["data"]["progress"] == {
        "pages": 1,
        "records": 50,
        "readable": 50,
        "offset": 77,
        "has_more": True,
        "records_per_second": 12.5,
        "unsplit_because": None,
    }


def test_a_failed_job_says_why_with_hubspots_own_words(shim: Shim) -> None:
    job_id = shim.start("deals")
    body: JsonValue = {"category": "MISSING_SCOPES"}
    error = FatalHubSpotError("No scope", status=403, body=body, details="Connect the account again")
    shim.worker.fail(shim.worker.start(job_id), error)

    shown = shim.get(f"/jobs/{job_id}").json()["data"]

    assert (shown["status"], shown["finished_at"]) == ("failed", NOW)
    assert shown["error"] == {
        "code": "hubspot_error",
        "message": "No scope",
        "retryable": False,
        "details": "Connect the account again",
        "hubspot": {"status": 403, "body": {"category": "MISSING_SCOPES"}},
    }


@pytest.mark.parametrize("job_id", ["unknown", "%00", "$ne", "%7B%22$gt%22:1%7D", "é", "%F0%9F", "x" * 5000])
@pytest.mark.parametrize("below", ["", "/results"])
def test_an_unknown_job_is_answered_the_same_whatever_its_name(shim: Shim, job_id: str, below: str) -> None:
    expected = b'{"success":false,"errno":404,"message":"RESOURCE_NOT_FOUND","code":"job_not_found"}'
    answer = shim.get(f"/jobs/{job_id}{below}")

    assert (answer.status_code, answer.content) == (404, expected)


@pytest.mark.parametrize("below", ["", "/results"])
@pytest.mark.parametrize("preference", ["", "wait=1"])
def test_another_accounts_job_is_answered_as_an_unknown_one(shim: Shim, below: str, preference: str) -> None:
    job_id = shim.start("contacts")
    stranger = f"Bearer {mint({'account_id': 'a2'})}"
    paths = [f"/jobs/{each}{below}" for each in (job_id, "00000000-0000-4000-8000-000000000000")]

    same = {"prefer": preference, "x-request-id": "of-both"}

    others, unknown = (shim.get(path, authorization=stranger, **same) for path in paths)

    assert others.status_code == 404
    assert (others.status_code, others.content, others.headers) == (
        unknown.status_code,
        unknown.content,
        unknown.headers,
    )


def test_another_user_of_the_account_may_read_the_job(shim: Shim) -> None:
    job_id = shim.start("contacts")

    assert shim.get(f"/jobs/{job_id}", authorization=f"Bearer {mint({'uid': 'u2'})}").status_code == 200


def test_a_wait_ends_as_soon_as_the_state_changes(shim: Shim) -> None:
    job_id = shim.start("contacts")
    running = shim.worker.start(job_id)
    with ThreadPoolExecutor(max_workers=1) as pool:
        watched = pool.submit(shim.get, f"/jobs/{job_id}", prefer="wait=30")
        shim.worker.store(running, body_of("contacts", [1]))
        answer = watched.result(timeout=PATIENCE_S)

    assert answer.json()["data"]["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_a_wait_for_a_job_that_has_ended_is_answered_at_once(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.worker.export(job_id, body_of("contacts", [1]))

    assert shim.get(f"/jobs/{job_id}", prefer="wait=60").json()["data"]["status"] == "succeeded"


def test_a_wait_that_is_over_gives_the_job_as_it_stands(shim: Shim) -> None:
    job_id = shim.start("contacts")

    for seconds in (0, 1):
        assert shim.get(f"/jobs/{job_id}", prefer=f"wait={seconds}").json()["data"]["status"] == "queued"
