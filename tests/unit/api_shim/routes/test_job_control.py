"""Cancel, retry and delete over HTTP: what callers are told, and what becomes of the job."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import fakeredis
import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, RESULT_TTL, Json, Shim, mint, problem
from worker.errors import FatalHubSpotError
from worker.messaging.notifier import CHANNEL

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ACTS = [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]
NOT_FOUND = b'{"success":false,"errno":404,"message":"RESOURCE_NOT_FOUND","code":"job_not_found"}'


def queued(shim: Shim) -> str:
    return shim.start("contacts")


def running(shim: Shim) -> str:
    """Start a job of which one page is stored, and leave it with its worker."""
    job_id = shim.start("contacts")
    shim.worker.export(job_id, body_of("contacts", range(3), offset=3))
    return job_id


def failed(shim: Shim) -> str:
    job_id = shim.start("contacts")
    job = shim.worker.export(job_id, body_of("contacts", range(3), offset=3))
    shim.worker.fail(job, FatalHubSpotError("No", status=403))
    return job_id


def succeeded(shim: Shim) -> str:
    job_id = shim.start("contacts")
    shim.worker.export(job_id, body_of("contacts", range(3)))
    return job_id


def cancelled(shim: Shim) -> str:
    """Start a job that is cancelled with one page stored, between two slices."""
    job_id = shim.start("contacts")
    shim.worker.requeue(shim.worker.export(job_id, body_of("contacts", range(3), offset=3)))
    assert shim.post(f"/jobs/{job_id}/cancel").status_code == 202
    return job_id


def shown(shim: Shim, job_id: str) -> Json:
    data: Json = shim.get(f"/jobs/{job_id}").json()["data"]
    return data


def conflict(message: str) -> tuple[int, Json]:
    return 409, {"success": False, "errno": 409, "message": message, "code": "conflict"}


def is_accepted(answer: httpx.Response, job_id: str) -> None:
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{BASE_PATH}/jobs/{job_id}"
    assert int(answer.headers["Retry-After"]) > 0
    assert list(answer.json()) == ["success", "message", "data"]


# Cancel


def test_a_queued_job_is_cancelled_at_once(shim: Shim) -> None:
    job_id = queued(shim)

    answer = shim.post(f"/jobs/{job_id}/cancel")

    is_accepted(answer, job_id)
    assert answer.json()["message"] == "Job cancelled"
    assert answer.json()["data"] == shown(shim, job_id)
    assert shown(shim, job_id)["status"] == "cancelled"
    assert shown(shim, job_id)["finished_at"] == "2026-11-23T15:00:00Z"
    assert shown(shim, job_id)["expires_at"] == "2026-12-23T15:00:00Z"


def test_a_running_job_stops_at_its_next_page_and_keeps_what_it_has(shim: Shim) -> None:
    job_id = shim.start("contacts")
    job = shim.worker.start(job_id)

    answer = shim.post(f"/jobs/{job_id}/cancel")

    is_accepted(answer, job_id)
    assert (answer.json()["message"], answer.json()["data"]["status"]) == (
        "Cancel accepted: the job stops at its next page",
        "running",
    )
    shim.worker.store(job, body_of("contacts", range(3), offset=3))
    assert shown(shim, job_id)["status"] == "cancelled"
    results = shim.get(f"/jobs/{job_id}/results").json()
    assert [record["vid"] for record in results["data"]["contacts"]] == [0, 1, 2]
    assert results["pagination"] == {"hasMore": None, "offset": 3}


@pytest.mark.parametrize("begin", [succeeded, failed, cancelled])
def test_a_finished_job_cannot_be_cancelled(shim: Shim, begin: Callable[[Shim], str]) -> None:
    job_id = begin(shim)
    before = shown(shim, job_id)

    answer = shim.post(f"/jobs/{job_id}/cancel")

    assert problem(answer) == conflict(f"The job is {before['status']} and cannot become cancelled")
    assert shown(shim, job_id) == before


def test_who_waits_for_a_job_hears_of_its_cancel(shim: Shim) -> None:
    job_id = queued(shim)
    with ThreadPoolExecutor(max_workers=1) as pool:
        watched = pool.submit(shim.get, f"/jobs/{job_id}", prefer="wait=30")
        shim.post(f"/jobs/{job_id}/cancel")
        answer = watched.result(timeout=PATIENCE_S)

    assert answer.json()["data"]["status"] == "cancelled"


def test_a_cancel_is_announced_to_all_shims(shim: Shim) -> None:
    job_id = queued(shim)
    redis = fakeredis.FakeRedis(server=shim.redis)
    with redis.pubsub(ignore_subscribe_messages=True) as another:  # type: ignore[no-untyped-call] # as redis has it
        another.subscribe(CHANNEL)
        shim.post(f"/jobs/{job_id}/cancel")
        heard = [message["data"] for _ in range(2) if (message := another.get_message(timeout=1))]

    assert heard == [f"{job_id} cancelled".encode()]


def test_who_waits_for_a_page_is_told_that_its_job_was_cancelled(shim: Shim) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(shim.get, "/export/contacts")
        job_id = shim.queue.take().job_id
        shim.post(f"/jobs/{job_id}/cancel")
        answer = waiting.result(timeout=PATIENCE_S)

    assert problem(answer) == conflict("The job is cancelled: it was stopped before it had its page")


def test_a_cancel_needs_no_redis(shim: Shim) -> None:
    job_id = queued(shim)
    shim.redis.connected = False

    assert shim.post(f"/jobs/{job_id}/cancel").status_code == 202


# Retry


@pytest.mark.parametrize("begin", [failed, cancelled])
def test_a_retried_job_goes_on_from_its_last_stored_page(shim: Shim, begin: Callable[[Shim], str]) -> None:
    job_id = begin(shim)
    shim.clock.advance(60)

    answer = shim.post(f"/jobs/{job_id}/retry")

    is_accepted(answer, job_id)
    assert answer.json()["message"] == "Retry accepted"
    data = shown(shim, job_id)
    assert answer.json()["data"] == data
    assert (data["status"], data["error"], data["finished_at"], data["expires_at"]) == ("queued", None, None, None)
    assert (data["resumes"], data["progress"]["records"], data["progress"]["offset"]) == (1, 3, 3)
    assert [job.job_id for job in shim.queue.published] == [job_id, job_id]
    shim.worker.export(job_id, body_of("contacts", range(3, 5)))
    results = shim.get(f"/jobs/{job_id}/results").json()
    assert [record["vid"] for record in results["data"]["contacts"]] == list(range(5))


@pytest.mark.parametrize("begin", [queued, running, succeeded])
def test_nothing_else_is_retried(shim: Shim, begin: Callable[[Shim], str]) -> None:
    job_id = begin(shim)
    before = shown(shim, job_id)

    answer = shim.post(f"/jobs/{job_id}/retry")

    assert problem(answer) == conflict(f"The job is {before['status']} and cannot become queued")
    assert shown(shim, job_id) == before


# Delete


@pytest.mark.parametrize("begin", [queued, succeeded, failed, cancelled])
def test_a_deleted_job_and_its_results_are_gone(shim: Shim, begin: Callable[[Shim], str]) -> None:
    job_id = begin(shim)

    answer = shim.delete(f"/jobs/{job_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    for method, below in [("GET", ""), ("GET", "/results"), *ACTS]:
        assert shim.ask(method, f"{BASE_PATH}/jobs/{job_id}{below}").content == NOT_FOUND
    assert (shim.jobs.all, shim.pages.count(job_id)) == ([], 0)


def test_a_running_job_is_not_deleted(shim: Shim) -> None:
    job_id = running(shim)

    assert problem(shim.delete(f"/jobs/{job_id}")) == conflict("The job is running: cancel it first")
    assert shown(shim, job_id)["status"] == "running"


def test_who_waits_for_a_job_that_is_deleted_is_told_that_it_is_gone(shim: Shim) -> None:
    job_id = queued(shim)
    with ThreadPoolExecutor(max_workers=1) as pool:
        watched = pool.submit(shim.get, f"/jobs/{job_id}", prefer="wait=30")
        shim.delete(f"/jobs/{job_id}")
        assert watched.result(timeout=PATIENCE_S).content == NOT_FOUND


# Whose job, and how long there is one


@pytest.mark.parametrize(("method", "below"), ACTS)
def test_another_accounts_job_is_answered_as_an_unknown_one_and_left_alone(shim: Shim, method: str, below: str) -> None:
    job_id = failed(shim)
    before = shown(shim, job_id)
    stranger = f"Bearer {mint({'account_id': 'a2'})}"
    same = {"x-request-id": "of-both"}

    others, unknown = (
        shim.ask(method, f"{BASE_PATH}/jobs/{each}{below}", authorization=stranger, headers=same)
        for each in (job_id, UNKNOWN)
    )

    assert (others.status_code, others.content, others.headers) == (404, NOT_FOUND, unknown.headers)
    assert unknown.content == NOT_FOUND
    assert shown(shim, job_id) == before


@pytest.mark.parametrize(("method", "below"), ACTS)
@pytest.mark.parametrize(("claims", "status"), [({"scope": "files"}, 403), ({"account_id": None}, 401)])
def test_nobody_changes_a_job_without_the_right_to(
    shim: Shim, method: str, below: str, claims: Json, status: int
) -> None:
    job_id = failed(shim)
    before = shown(shim, job_id)

    answer = shim.ask(method, f"{BASE_PATH}/jobs/{job_id}{below}", authorization=f"Bearer {mint(claims)}")

    assert answer.status_code == status
    assert shown(shim, job_id) == before


@pytest.mark.parametrize(("method", "below"), [("GET", ""), ("GET", "/results"), *ACTS])
def test_a_job_is_there_until_its_end_and_not_a_moment_longer(shim: Shim, method: str, below: str) -> None:
    job_id = failed(shim)
    shim.clock.advance((RESULT_TTL - timedelta(milliseconds=1)).total_seconds())
    assert shim.get(f"/jobs/{job_id}/results").status_code == 200

    shim.clock.advance(0.001)

    assert shim.ask(method, f"{BASE_PATH}/jobs/{job_id}{below}").content == NOT_FOUND
