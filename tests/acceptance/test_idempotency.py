"""One `Idempotency-Key`, one job: over two shims at once, and over one that is killed in the middle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event
from uuid import uuid4

import requests

from sandbox.stack import Stack
from tests.acceptance.client import BASE_PATH, Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import another_shim
from tests.patience import PATIENCE_S

AT_ONCE = 50


def post(client: Client, url: str, key: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {client.token}", "Idempotency-Key": key}
    return requests.post(f"{url}{BASE_PATH}/export/contacts", json={"label": key}, headers=headers, timeout=PATIENCE_S)


def jobs_of(client: Client) -> list[Json]:
    return client.documents("jobs", account_id=client.account.account_id)


def test_fifty_posts_at_once_to_two_shims_start_one_export(stack: Stack) -> None:
    client = connect(stack, contacts=30)
    together = Barrier(AT_ONCE)
    with another_shim(stack) as other:
        urls = [stack.shim_url, other.url]

        def ask(number: int) -> requests.Response:
            together.wait(timeout=PATIENCE_S)
            return post(client, urls[number % 2], "nightly")

        with ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(ask, range(AT_ONCE)))

    (job_id,) = [document["_id"] for document in jobs_of(client)]
    assert {answer.json()["data"]["job_id"] for answer in answers} == {job_id}
    assert sorted(answer.status_code for answer in answers) == [200] * (AT_ONCE - 1) + [202]
    assert client.finished(f"/jobs/{job_id}")["progress"]["records"] == 30


def test_posts_that_a_killed_shim_has_left_half_done_are_completed_by_repeating_them(stack: Stack) -> None:
    client = connect(stack, contacts=1)
    keys = [str(uuid4()) for _ in range(200)]
    promised: dict[str, str] = {}
    enough = Event()

    def ask(key: str) -> None:
        with suppress(requests.RequestException):
            promised[key] = post(client, shim.url, key).json()["data"]["job_id"]
        if len(promised) >= len(keys) // 4:
            enough.set()

    with another_shim(stack) as shim, ThreadPoolExecutor(16) as threads:
        asked = threads.map(ask, keys)
        assert enough.wait(timeout=PATIENCE_S)
        shim.process.kill()
        list(asked)

    repeated = {key: post(client, stack.shim_url, key).json()["data"]["job_id"] for key in keys}

    assert 0 < len(promised) < len(keys)
    assert promised.items() <= repeated.items()
    assert {document["label"]: document["_id"] for document in jobs_of(client)} == repeated
    assert len(jobs_of(client)) == len(keys)


def test_a_repeat_gives_the_job_as_it_stands_and_another_request_is_refused(stack: Stack) -> None:
    client = connect(stack, contacts=10)
    first = client.post("/export/contacts", {"limit": 5}, **{"Idempotency-Key": "a"})
    client.finished(first.headers["Location"].removeprefix(BASE_PATH))

    repeated = client.post("/export/contacts", {"limit": 5, "label": None}, **{"Idempotency-Key": "a"})
    another = client.post("/export/contacts", {"limit": 6}, **{"Idempotency-Key": "a"})

    assert (first.status_code, repeated.status_code, another.status_code) == (202, 200, 422)
    assert repeated.headers["Location"] == first.headers["Location"]
    assert repeated.json()["data"]["status"] == "succeeded"
    assert another.json()["code"] == "idempotency_key_reused"
