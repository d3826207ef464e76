"""A broker that takes connections and never answers: the shim answers all the same, in 3 s."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.patience import HELD_UP_S, PATIENCE_S

LONGEST_S = 3.0 + HELD_UP_S
CALLERS = 60  # more than the shim has threads


@contextmanager
def frozen_redis() -> Iterator[Stack]:
    """Run a stack whose Redis freezes after the shim has spoken to it."""
    with temporary_state() as folder, Stack(folder) as stack:
        client = connect(stack, contacts=1)
        assert client.get("/export/contacts").status_code == 200
        stack.redis.send(signal.SIGSTOP)
        try:
            yield stack
        finally:
            stack.redis.send(signal.SIGCONT)


@contextmanager
def frozen_rabbitmq() -> Iterator[Stack]:
    """Run a shim before a RabbitMQ that accepts connections, and no more than that."""
    with temporary_state() as folder, socket.create_server(("127.0.0.1", 0), backlog=1000) as deaf:
        broker = f"amqp://127.0.0.1:{deaf.getsockname()[1]}//"
        options = StackOptions(settings={"CELERY_BROKER_URL": broker}, workers=0, beats=0, shim=False)
        with Stack(folder, options=options) as stack:
            stack.shim.start()  # not waited for: ready is what it is not
            until_alive(stack)
            yield stack


def until_alive(stack: Stack) -> None:
    give_up_at = time.monotonic() + 30
    while True:
        try:
            requests.get(f"{stack.shim_url}/healthz", timeout=PATIENCE_S).raise_for_status()
        except requests.ConnectionError:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module", params=[frozen_redis, frozen_rabbitmq])
def frozen(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with request.param() as stack:
        yield stack


def timed(client: Client, method: str, path: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = client.get(path) if method == "GET" else client.post(path)
    return answer, time.monotonic() - began


def test_a_job_is_stored_and_accepted_and_a_page_is_refused_in_time(frozen: Stack) -> None:
    client = connect(frozen, contacts=5)

    accepted, seconds = timed(client, "POST", "/export/contacts")
    assert (accepted.status_code, seconds < LONGEST_S) == (202, True), seconds
    (job,) = client.documents("jobs", account_id=client.account.account_id)
    assert (job["_id"], job["status"], job["published_at"]) == (accepted.json()["data"]["job_id"], "queued", None)

    refused, seconds = timed(client, "GET", "/export/contacts")
    assert (refused.status_code, seconds < LONGEST_S) == (503, True), seconds
    assert refused.json()["message"] == "The message broker is not available"
    assert int(refused.headers["Retry-After"]) > 0
    assert len(client.documents("jobs", account_id=client.account.account_id)) == 1

    path = f"/jobs/{accepted.json()['data']['job_id']}"
    for act, status in (("cancel", 202), ("retry", 202), ("cancel", 202)):
        answer, seconds = timed(client, "POST", f"{path}/{act}")
        assert (answer.status_code, seconds < LONGEST_S) == (status, True), (act, seconds)


def test_many_callers_at_once_are_all_answered_and_others_meanwhile(frozen: Stack) -> None:
    client = connect(frozen, contacts=5)
    with ThreadPoolExecutor(max_workers=CALLERS) as pool:
        asked = [pool.submit(timed, client, "POST", "/export/contacts") for _ in range(CALLERS)]
        outcomes = [each.result() for each in asked]

    assert {answer.status_code for answer, _ in outcomes} == {202}
    assert max(seconds for _, seconds in outcomes) < LONGEST_S
    path = f"/jobs/{outcomes[0][0].json()['data']['job_id']}"
    answer, seconds = timed(client, "GET", path)
    assert (answer.status_code, seconds < HELD_UP_S) == (200, True), seconds


def test_readiness_says_in_time_which_server_is_away(frozen: Stack) -> None:
    began = time.monotonic()
    answer = requests.get(f"{frozen.shim_url}/readyz", timeout=PATIENCE_S)
    seconds = time.monotonic() - began
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "broker" in answer.json()["message"]
    assert seconds < LONGEST_S, seconds
