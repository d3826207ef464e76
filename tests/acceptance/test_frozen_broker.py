"""A broker that accepts connections and never answers: the shim answers all the same, within 3 s."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import requests

from sandbox.servers.ports import HOST
from sandbox.stack import Stack
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import PLAIN, Crew, SharedStacks, starting_shim
from tests.patience import HELD_UP_S, PATIENCE_S, until

LONGEST_S = 3.0 + HELD_UP_S
CALLERS = 60  # more than the shim has threads


@dataclass(frozen=True)
class Frozen:
    """A shim whose broker does not answer."""

    stack: Stack
    url: str

    def connect(self) -> Client:
        return replace(connect(self.stack, contacts=5), shim_url=self.url)


@contextmanager
def frozen_redis(stacks: SharedStacks) -> Iterator[Frozen]:
    """Freeze Redis after the shim has spoken to it."""
    with stacks.lent(PLAIN) as stack:
        client = connect(stack, contacts=1)
        assert client.get("/export/contacts").status_code == 200
        stack.redis.send(signal.SIGSTOP)
        try:
            yield Frozen(stack, stack.shim_url)
        finally:
            stack.redis.send(signal.SIGCONT)


@contextmanager
def frozen_rabbitmq(stacks: SharedStacks) -> Iterator[Frozen]:
    """Run a shim with a RabbitMQ that accepts connections and does nothing else; no worker takes its jobs elsewhere."""
    with stacks.lent(PLAIN, Crew(workers=0)) as stack, socket.create_server((HOST, 0), backlog=1000) as deaf:
        broker = f"amqp://{HOST}:{deaf.getsockname()[1]}//"
        with starting_shim(stack, CELERY_BROKER_URL=broker) as shim:
            until(lambda: is_alive(shim.url))  # it never becomes ready
            yield Frozen(stack, shim.url)


def is_alive(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=PATIENCE_S).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module", params=[frozen_redis, frozen_rabbitmq])
def frozen(stacks: SharedStacks, request: pytest.FixtureRequest) -> Iterator[Frozen]:
    with request.param(stacks) as running:
        yield running


def timed(client: Client, method: str, path: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = client.get(path) if method == "GET" else client.post(path)
    return answer, time.monotonic() - began


def test_a_job_is_stored_and_accepted_and_a_page_is_refused_in_time(frozen: Frozen) -> None:
    client = frozen.connect()

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


def test_many_callers_at_once_are_all_answered_and_others_meanwhile(frozen: Frozen) -> None:
    client = frozen.connect()
    with ThreadPoolExecutor(max_workers=CALLERS) as pool:
        asked = [pool.submit(timed, client, "POST", "/export/contacts") for _ in range(CALLERS)]
        outcomes = [each.result() for each in asked]

    assert {answer.status_code for answer, _ in outcomes} == {202}
    assert max(seconds for _, seconds in outcomes) < LONGEST_S
    path = f"/jobs/{outcomes[0][0].json()['data']['job_id']}"
    answer, seconds = timed(client, "GET", path)
    assert (answer.status_code, seconds < HELD_UP_S) == (200, True), seconds


def test_readiness_says_in_time_which_server_is_away(frozen: Frozen) -> None:
    began = time.monotonic()
    answer = requests.get(f"{frozen.url}/readyz", timeout=PATIENCE_S)
    seconds = time.monotonic() - began
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "broker" in answer.json()["message"]
    assert seconds < LONGEST_S, seconds
