"""What clients and workers notice when Redis or MongoDB goes away and comes back."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import requests

from sandbox.stack import Stack
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.proxy import proxy_to
from tests.acceptance.stacks import PLAIN, Crew, SharedStacks
from tests.acceptance.test_survival import until_on
from tests.patience import HELD_UP_S, PATIENCE_S

LONGEST_REFUSAL_S = 3.0 + HELD_UP_S


def timed(client: Client, method: str, path: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = client.get(path) if method == "GET" else client.post(path)
    return answer, time.monotonic() - began


def refused(answer: requests.Response, *, names: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["errno"], body["code"]) == (503, 503, "unavailable")
    assert names in body["message"]
    assert int(answer.headers["Retry-After"]) > 0


def test_without_the_broker_a_page_is_refused_and_a_job_is_kept_until_it_is_back(own_stack: Stack) -> None:
    client = connect(own_stack, contacts=120)
    own_stack.redis.kill()

    answer, seconds = timed(client, "GET", "/export/contacts")
    refused(answer, names="broker")
    assert seconds < LONGEST_REFUSAL_S
    assert client.documents("jobs", account_id=client.account.account_id) == []

    ready = requests.get(f"{own_stack.shim_url}/readyz", timeout=PATIENCE_S)
    refused(ready, names="broker")
    assert requests.get(f"{own_stack.shim_url}/healthz", timeout=PATIENCE_S).status_code == 200

    answer, seconds = timed(client, "POST", "/export/contacts")
    assert answer.status_code == 202
    assert seconds < LONGEST_REFUSAL_S

    own_stack.redis.restart()
    job = client.finished(f"/jobs/{answer.json()['data']['job_id']}")
    assert (job["status"], job["progress"]["records"]) == ("succeeded", 120)


def test_without_the_database_everything_is_refused_by_name_and_works_again_after(own_stack: Stack) -> None:
    client = connect(own_stack, contacts=20)
    assert client.get("/export/contacts").status_code == 200
    own_stack.mongo.kill()
    for method, path in (("GET", "/export/contacts"), ("POST", "/export/contacts"), ("GET", "/jobs/some-id")):
        answer, seconds = timed(client, method, path)
        refused(answer, names="database")
        assert seconds < LONGEST_REFUSAL_S
    refused(requests.get(f"{own_stack.shim_url}/readyz", timeout=PATIENCE_S), names="database")
    own_stack.mongo.restart()
    own_stack.check()
    assert client.get("/export/contacts").status_code == 200


def test_a_worker_outlives_a_restart_of_redis_with_one_of_its_two_slots_busy(own_stack: Stack) -> None:
    slow = connect(own_stack, contacts=1000)
    own_stack.hubspot_control.change_account(slow.account.hub_id, latency_s=1.0)
    path = slow.start("contacts")
    until_on(own_stack, lambda: slow.job(path)["progress"]["pages"] >= 2)

    own_stack.redis.kill()
    own_stack.redis.restart()

    quick = connect(own_stack, contacts=10)
    assert quick.finished(quick.start("contacts"))["status"] == "succeeded"
    own_stack.hubspot_control.change_account(slow.account.hub_id, latency_s=0.0)
    assert slow.finished(path)["progress"]["records"] == 1000
    own_stack.check()


def test_a_worker_recovers_from_a_connection_that_is_open_but_dead(stacks: SharedStacks) -> None:
    with stacks.lent(PLAIN, Crew(workers=0)) as stack, proxy_to(port_of(stack)) as proxy:
        through_proxy = stack.redis.url.replace(f":{port_of(stack)}/", f":{proxy.port}/")
        worker = stack.start_worker(settings={"CELERY_BROKER_URL": through_proxy}).wait_ready()
        client = connect(stack, contacts=10)
        assert client.finished(client.start("contacts"))["status"] == "succeeded"
        assert proxy.freeze_existing() > 0
        popped_into_the_dead_connection, in_the_queue = client.start("contacts"), client.start("contacts")
        assert client.finished(in_the_queue)["status"] == "succeeded"
        assert client.finished(popped_into_the_dead_connection)["status"] == "succeeded"
        worker.check()
        stack.dismiss_workers()


def port_of(stack: Stack) -> int:
    return urlsplit(stack.redis.url).port or 0
