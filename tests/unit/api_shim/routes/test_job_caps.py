"""A cap of open jobs an account: 429 `too_many_jobs`, with nothing stored, and what is never refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Shim

MOST = 3


@pytest.fixture
def capped(running: Running) -> Iterator[Shim]:
    with running(max_open_jobs_per_account=MOST) as shim:
        yield shim


def keyed(shim: Shim, key: str, body: object) -> httpx.Response:
    path = f"{BASE_PATH}/export/contacts"
    return shim.ask("POST", path, content=json.dumps(body).encode(), headers={"Idempotency-Key": key})


def fill(shim: Shim) -> list[str]:
    return [shim.start("contacts") for _ in range(MOST)]


@pytest.mark.parametrize(("method", "path"), [("POST", "/export/deals"), ("POST", "/sync"), ("GET", "/export/notes")])
def test_one_job_more_is_refused_with_nothing_stored(capped: Shim, method: str, path: str) -> None:
    fill(capped)

    answer = capped.ask(method, f"{BASE_PATH}{path}")

    assert (answer.status_code, answer.json()["errno"], answer.json()["code"]) == (429, 429, "too_many_jobs")
    assert int(answer.headers["retry-after"]) >= 1
    assert len(capped.jobs.all) == MOST


def test_a_burst_ends_at_the_cap(capped: Shim) -> None:
    with ThreadPoolExecutor(max_workers=30) as pool:
        statuses = list(pool.map(lambda _: capped.post("/export/contacts").status_code, range(60)))

    assert (statuses.count(202), statuses.count(429)) == (MOST, 57)
    assert len(capped.jobs.all) == MOST


def test_a_repeated_key_is_answered_as_before(capped: Shim) -> None:
    first = keyed(capped, "k1", {})
    fill_up = [capped.start("contacts") for _ in range(MOST - 1)]

    again, other, new = keyed(capped, "k1", {}), keyed(capped, "k1", {"limit": 5}), keyed(capped, "k2", {})

    assert len(fill_up) == MOST - 1
    assert (again.status_code, again.json()["data"]["job_id"]) == (200, first.json()["data"]["job_id"])
    assert (other.status_code, new.status_code) == (422, 429)


def test_a_refused_request_leaves_its_key_free(capped: Shim) -> None:
    ids = fill(capped)
    assert keyed(capped, "k1", {}).status_code == 429

    capped.post(f"/jobs/{ids[0]}/cancel")

    assert keyed(capped, "k1", {"limit": 7}).status_code == 202


def test_a_sync_counts_as_one_job(capped: Shim) -> None:
    sync_ids = [capped.post("/sync").json()["data"]["job_id"] for _ in range(MOST - 1)]

    assert len(sync_ids) == MOST - 1
    assert capped.post("/export/contacts").status_code == 202
    assert capped.post("/sync").status_code == 429


def test_a_retry_is_never_refused(capped: Shim) -> None:
    ids = fill(capped)
    capped.post(f"/jobs/{ids[0]}/cancel")
    capped.start("deals")

    assert capped.post(f"/jobs/{ids[0]}/retry").status_code == 202


def test_a_finished_job_makes_room(capped: Shim) -> None:
    ids = fill(capped)

    capped.worker.export(ids[0], body_of("contacts", [1, 2]))

    assert capped.post("/export/contacts").status_code == 202


def test_zero_is_no_cap(running: Running) -> None:
    with running(max_open_jobs_per_account=0) as shim:
        assert {shim.post("/export/contacts").status_code for _ in range(5)} == {202}
