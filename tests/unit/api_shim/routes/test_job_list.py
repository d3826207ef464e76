"""`GET /jobs`: the account's jobs, newest first, page after page, and nobody else's."""

from __future__ import annotations

import pytest

from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Json, Shim, mint, problem, token_of
from worker.errors import FatalHubSpotError


def started(shim: Shim, *types: str) -> list[str]:
    """Start exports a second apart; gives their ids, newest first."""
    ids = []
    for export_type in types:
        shim.clock.advance(1)
        ids.append(shim.start(export_type))
    return ids[::-1]


def listed(shim: Shim, query: str = "") -> Json:
    answer = shim.get(f"/jobs{query}")
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def ids_in(body: Json) -> list[str]:
    return [job["job_id"] for job in body["data"]]


def test_jobs_are_listed_newest_first_as_each_is_shown_alone(shim: Shim) -> None:
    ids = started(shim, "contacts", "deals", "notes")
    shim.worker.export(ids[1], body_of("deals", [1, 2]))

    body = listed(shim)

    assert list(body) == ["success", "message", "data", "pagination"]
    assert (body["success"], body["message"]) == (True, "Jobs found")
    assert body["data"] == [shim.get(f"/jobs/{job_id}").json()["data"] for job_id in ids]
    assert body["pagination"] == {"hasMore": None, "cursor": None}


def test_without_jobs_the_list_is_empty(shim: Shim) -> None:
    assert (listed(shim)["data"], listed(shim)["pagination"]) == ([], {"hasMore": None, "cursor": None})


def test_ten_jobs_are_given_unless_a_limit_is(shim: Shim) -> None:
    ids = started(shim, *["contacts"] * 12)

    assert ids_in(listed(shim)) == ids_in(listed(shim, "?limit=")) == ids[:10]
    assert ids_in(listed(shim, "?limit=12")) == ids
    assert ids_in(listed(shim, "?limit=100")) == ids


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_the_cursors_lead_through_the_whole_list_whatever_is_started_meanwhile(shim: Shim, limit: int) -> None:
    ids = started(shim, *["contacts"] * 7)
    pages = [listed(shim, f"?limit={limit}")]
    while pages[-1]["pagination"]["hasMore"]:
        started(shim, "deals")
        pages.append(listed(shim, f"?limit={limit}&cursor={pages[-1]['pagination']['cursor']}"))

    assert [job_id for page in pages for job_id in ids_in(page)] == ids
    assert len(pages) == -(-7 // limit)
    assert pages[-1]["pagination"] == {"hasMore": None, "cursor": None}


def test_a_cursor_outlives_the_job_it_was_written_for(shim: Shim) -> None:
    ids = started(shim, *["contacts"] * 3)
    cursor = listed(shim, "?limit=1")["pagination"]["cursor"]
    shim.delete(f"/jobs/{ids[0]}")

    assert ids_in(listed(shim, f"?cursor={cursor}")) == ids[1:]


def test_jobs_are_narrowed_down(shim: Shim) -> None:
    notes, deals, contacts = started(shim, "contacts", "deals", "notes")
    shim.worker.fail(shim.worker.start(deals), FatalHubSpotError("No", status=403))
    shim.post(f"/jobs/{notes}/cancel")

    for query, expected in (
        ("?status=failed", [deals]),
        ("?status=failed,cancelled", [notes, deals]),
        ("?status=failed&status=cancelled", [notes, deals]),
        ("?status=failed,&status=cancelled,failed&status=", [notes, deals]),
        ("?status=queued&type=contacts,notes", [contacts]),
        ("?type=notes&type=deals", [notes, deals]),
        ("?status=running", []),
        ("?status=&type=", [notes, deals, contacts]),
    ):
        assert ids_in(listed(shim, query)) == expected, query


def test_a_page_of_a_waiting_caller_is_a_job_too(shim: Shim) -> None:
    answer = shim.get("/export/deals", prefer="respond-async")

    assert ids_in(listed(shim)) == [answer.json()["data"]["job_id"]]


def test_what_was_deleted_or_has_expired_is_not_listed(shim: Shim) -> None:
    deleted, left, expired = started(shim, "contacts", "contacts", "contacts")
    shim.delete(f"/jobs/{deleted}")
    shim.worker.export(expired, body_of("contacts", [1]))
    assert ids_in(listed(shim)) == [left, expired]

    shim.clock.advance(31 * 24 * 3600)

    assert ids_in(listed(shim)) == [left]


def test_another_account_sees_its_own_jobs_and_no_others_whatever_cursor_it_has(shim: Shim) -> None:
    shim.tokens.put(token_of("a2", "u1"))
    ours = started(shim, "contacts", "contacts")
    stranger = f"Bearer {mint({'account_id': 'a2'})}"
    cursor = listed(shim, "?limit=1")["pagination"]["cursor"]
    shim.clock.advance(1)
    theirs = shim.post("/export/deals", authorization=stranger).json()["data"]["job_id"]

    assert ids_in(shim.get("/jobs", authorization=stranger).json()) == [theirs]
    assert ids_in(shim.get(f"/jobs?cursor={cursor}", authorization=stranger).json()) == []
    assert ids_in(listed(shim)) == ours


def test_another_user_of_the_account_sees_its_jobs(shim: Shim) -> None:
    ids = started(shim, "contacts")

    assert ids_in(shim.get("/jobs", authorization=f"Bearer {mint({'uid': 'u2'})}").json()) == ids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: input should be greater than or equal to 1"),
        ("limit=101", "limit: input should be less than or equal to 100"),
        ("limit=x", "limit: must be a whole number, 0 or more"),
        ("limit=1&limit=1", "limit: is given more than once"),
        ("cursor=a&cursor=a", "cursor: is given more than once"),
        ("cursor=x", "cursor: is none that this list has given"),
        ("cursor=%00", "cursor: is none that this list has given"),
        ("status=done", "status.0: input should be 'queued', 'running', "),
        ("status=failed,Failed", "status.1: input should be 'queued', 'running', "),
        ("status=removed", "status.0: input should be "),
        ("type=tickets", "type.0: input should be 'contacts', 'companies', 'deals', 'notes' or 'sync'"),
        ("type=%00", "type.0: input should be "),
    ],
)
def test_a_wrong_query_is_refused_by_name(shim: Shim, query: str, message: str) -> None:
    status, body = problem(shim.get(f"/jobs?{query}"))

    assert (status, body["code"]) == (400, "invalid_request")
    assert body["message"].startswith(message)


def test_the_jwt_is_looked_at_first(shim: Shim) -> None:
    assert shim.get("/jobs?limit=x", authorization="").status_code == 401
    assert shim.get("/jobs?limit=x", authorization=f"Bearer {mint({'scope': ''})}").status_code == 403


def test_without_the_database_there_is_no_list(shim: Shim) -> None:
    shim.jobs.is_away = True

    assert shim.get("/jobs").status_code == 503


@pytest.mark.parametrize("path", ["/jobs/", "/jobs?x", "/jobsx"])
def test_only_the_list_itself_is_one(shim: Shim, path: str) -> None:
    assert shim.ask("GET", f"{BASE_PATH}{path}").status_code == (200 if "?" in path else 404)
