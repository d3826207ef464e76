"""What a caller notices when the database, the broker or Redis is away."""

from __future__ import annotations

import pytest

from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Parts, Shim, problem

DATABASE_AWAY = "The database is not available"
BROKER_AWAY = "The message broker is not available"


def unavailable(message: str) -> tuple[int, dict[str, object]]:
    return 503, {"success": False, "errno": 503, "message": message, "code": "unavailable"}


def test_without_the_broker_a_page_is_refused_and_nothing_is_left(shim: Shim) -> None:
    shim.queue.is_away = True

    answer = shim.get("/export/contacts")

    assert problem(answer) == unavailable(BROKER_AWAY)
    assert int(answer.headers["Retry-After"]) > 0
    assert shim.jobs.all == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_broker_who_does_not_wait_is_accepted_and_the_job_left_to_the_sweeper(
    shim: Shim, method: str
) -> None:
    shim.queue.is_away = True

    answer = shim.ask(method, f"{BASE_PATH}/export/contacts", headers={"prefer": "respond-async"})

    assert answer.status_code == 202
    assert shim.get(answer.headers["Location"].removeprefix(BASE_PATH)).json()["data"]["status"] == "queued"
    taken = shim.jobs.take_due(limit=10)
    assert [job.job_id for job in taken] == [answer.json()["data"]["job_id"]]


@pytest.mark.parametrize("part", ["jobs", "tokens"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_database_nothing_is_accepted(shim: Shim, method: str, part: str) -> None:
    getattr(shim, part).is_away = True

    answer = shim.ask(method, f"{BASE_PATH}/export/contacts")

    assert problem(answer) == unavailable(DATABASE_AWAY)
    assert int(answer.headers["Retry-After"]) > 0
    assert (shim.jobs.all, shim.queue.published) == ([], [])


def test_without_the_database_no_job_and_no_result_is_shown(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.worker.export(job_id, body_of("contacts", [1]))
    shim.pages.is_away = True
    assert problem(shim.get(f"/jobs/{job_id}/results")) == unavailable(DATABASE_AWAY)

    shim.jobs.is_away = True
    assert problem(shim.get(f"/jobs/{job_id}")) == unavailable(DATABASE_AWAY)
    assert problem(shim.get(f"/jobs/{job_id}", prefer="wait=5")) == unavailable(DATABASE_AWAY)

    shim.jobs.is_away = shim.pages.is_away = False
    assert shim.get(f"/jobs/{job_id}/results").status_code == 200


@pytest.mark.parametrize(("method", "below"), [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")])
def test_without_the_database_no_job_is_changed(shim: Shim, method: str, below: str) -> None:
    job_id = shim.start("contacts")
    shim.jobs.is_away = True

    answer = shim.ask(method, f"{BASE_PATH}/jobs/{job_id}{below}")

    assert problem(answer) == unavailable(DATABASE_AWAY)
    assert int(answer.headers["Retry-After"]) > 0
    assert [job.status for job in shim.jobs.all] == ["queued"]


def test_without_the_broker_a_retry_is_accepted_and_the_job_left_to_the_sweeper(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.post(f"/jobs/{job_id}/cancel")
    shim.queue.is_away = True

    assert shim.post(f"/jobs/{job_id}/retry").status_code == 202

    assert [job.job_id for job in shim.jobs.take_due(limit=10)] == [job_id]


def test_a_delete_that_has_hidden_the_job_is_no_failure_though_the_pages_are_removed_later(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.worker.export(job_id, body_of("contacts", [1]))
    shim.pages.is_away = True

    assert shim.delete(f"/jobs/{job_id}").status_code == 204
    assert shim.get(f"/jobs/{job_id}").status_code == 404
    assert shim.jobs.take_interrupted(quiet_s=-1, limit=10) == ([job_id], [])


def test_without_redis_who_waits_looks_from_time_to_time(shim: Shim) -> None:
    shim.redis.connected = False

    with shim.exporting(body_of("contacts", [1])):
        answer = shim.get("/export/contacts")

    assert answer.status_code == 200


def test_a_shim_that_starts_without_redis_works(running: Running, parts: Parts) -> None:
    parts.redis.connected = False

    with running() as shim, shim.exporting(body_of("contacts", [1])):
        assert shim.get("/export/contacts").status_code == 200
