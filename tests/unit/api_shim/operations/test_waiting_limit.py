"""Requests that wait: so many of one caller at once, and no thread kept while they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.patience import PATIENCE_S, until
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Shim, mint

MOST = 2


@pytest.fixture
def limited(running: Running) -> Iterator[Shim]:
    with running(max_waiting_requests_per_caller=MOST) as shim:
        yield shim


def waiting_now(shim: Shim) -> float:
    return shim.registry.get_sample_value("hubspot_export_http_requests_waiting") or 0


@contextmanager
def polls(shim: Shim, job_id: str, count: int, *, wait_s: int = 30) -> Iterator[list[Future[httpx.Response]]]:
    """Let that many requests wait for a job; the test has to end them."""
    with ThreadPoolExecutor(max_workers=count) as pool:
        asked = [pool.submit(shim.get, f"/jobs/{job_id}", prefer=f"wait={wait_s}") for _ in range(count)]
        until(lambda: waiting_now(shim), lambda found: found == count)
        yield asked


def is_refused(answer: httpx.Response) -> bool:
    assert answer.status_code == 429, answer.text
    assert (answer.json()["code"], int(answer.headers["retry-after"])) == ("too_many_requests", 1)
    return "MAX_WAITING_REQUESTS_PER_CALLER" in answer.json()["message"]


def test_one_request_more_is_refused_and_the_others_wait_on(limited: Shim) -> None:
    job_id = limited.start("contacts")
    with polls(limited, job_id, MOST) as asked:
        assert is_refused(limited.get(f"/jobs/{job_id}", prefer="wait=30"))
        limited.worker.start(job_id)
    assert [each.result().json()["data"]["status"] for each in asked] == ["running"] * MOST


def test_who_does_not_wait_is_not_refused(limited: Shim) -> None:
    job_id, ended_id = limited.start("contacts"), limited.start("contacts")
    limited.worker.export(ended_id, body_of("contacts", [1]))
    with polls(limited, job_id, MOST):
        answers = [
            limited.get(f"/jobs/{job_id}"),
            limited.get(f"/jobs/{job_id}", prefer="wait=0"),
            limited.get(f"/jobs/{ended_id}", prefer="wait=30"),
            limited.get("/jobs"),
            limited.get("/export/contacts", prefer="respond-async"),
        ]
        limited.worker.start(job_id)
    assert [each.status_code for each in answers] == [200, 200, 200, 200, 202]


def test_a_synchronous_page_too_many_is_refused_with_nothing_stored(limited: Shim) -> None:
    job_id = limited.start("contacts")
    with polls(limited, job_id, MOST):
        assert is_refused(limited.get("/export/contacts"))
        limited.worker.start(job_id)
    assert [job.job_id for job in limited.jobs.all] == [job_id]


def test_a_dry_run_too_many_is_refused_with_nobody_sent(limited: Shim) -> None:
    job_id = limited.start("contacts")
    with polls(limited, job_id, MOST):
        assert is_refused(limited.post("/export/contacts", {"dry_run": True}))
        limited.worker.start(job_id)
    assert limited.rpc_requests.all == []


def test_another_user_of_the_account_has_polls_of_its_own(limited: Shim) -> None:
    job_id = limited.start("contacts")
    other = f"Bearer {mint({'uid': 'u2'})}"
    with polls(limited, job_id, MOST):
        answer = limited.get(f"/jobs/{job_id}", authorization=other, prefer="wait=1")
        limited.worker.start(job_id)
    assert answer.status_code == 200


def test_a_thousand_requests_wait_and_everyone_else_is_answered_at_once(running: Running) -> None:
    with running(max_waiting_requests_per_caller=0) as shim:
        job_id = shim.start("contacts")

        async def poll() -> None:
            transport = httpx.ASGITransport(shim.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shim", timeout=PATIENCE_S) as client:
                headers = {"authorization": f"Bearer {mint()}", "prefer": "wait=60"}
                asked = [client.get(f"{BASE_PATH}/jobs/{job_id}", headers=headers) for _ in range(1000)]
                answers = await asyncio.gather(*asked)
            statuses.extend(answer.json()["data"]["status"] for answer in answers)

        statuses: list[str] = []
        polling = shim.portal.start_task_soon(poll)
        until(lambda: waiting_now(shim), lambda found: found == 1000)
        began = time.monotonic()
        assert shim.get(f"/jobs/{job_id}").status_code == 200
        assert time.monotonic() - began < PATIENCE_S / 2
        shim.worker.start(job_id)
        polling.result(PATIENCE_S)
    assert statuses == ["running"] * 1000
