"""Brokers in trouble: no room, no rights, restarts, and whatever a queue should not hold. Workers wait and go on."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery
from redis import Redis

from sandbox.configuration import python_environment
from sandbox.processes import Command, Process
from sandbox.servers.ports import HOST
from sandbox.servers.rabbitmq import RabbitServer
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.conftest import connect
from tests.acceptance.rabbitmq import require_rabbitmq
from tests.acceptance.redis_troubles import troubles
from tests.acceptance.stacks import UNLIMITED
from tests.acceptance.test_survival import until_on
from tests.patience import HELD_UP_S, until

QUEUES = ("interactive", "bulk", "upkeep")
WITHIN_S = 60  # the promise, once the broker is back
ANSWERED_WITHIN_S = 3.0 + HELD_UP_S
NO_MESSAGES = (
    *(b"not json", b"null", b"{}", b"[1,2]", b'[{},"a","b"]', b"\xff\xfe", b"[" * 100_000),
    *(b'{"body":1}', b'{"body":"x","properties":{}}', b'{"body":"x","properties":{"delivery_tag":1}}'),
    b'{"body":"x","properties":{"delivery_tag":"t","delivery_info":{"exchange":"bulk"}}}',
)


@pytest.mark.parametrize("name", troubles(password="", refused=""))
def test_a_redis_that_refuses_ends_no_worker_and_loses_no_job(own_stack: Stack, name: str) -> None:
    password = urlsplit(own_stack.redis.url).password or ""
    trouble = troubles(password=password, refused="-brpop -lpush")[name]
    client = connect(own_stack, contacts=250)
    worker = own_stack.workers[0].pid
    with Redis.from_url(own_stack.redis.url) as redis:
        os.kill(worker, signal.SIGSTOP)  # so that it meets the trouble with a message that it has taken
        accepted = client.start("contacts")
        trouble.begin(redis)
        os.kill(worker, signal.SIGCONT)
        until_on(own_stack, lambda: own_stack.workers[0].has_written("Connection to broker lost"), within_s=WITHIN_S)
        trouble.end(redis)

    assert client.finished(accepted, within_s=WITHIN_S)["status"] == "succeeded"
    assert client.finished(client.start("contacts"))["status"] == "succeeded"
    own_stack.check()
    assert own_stack.workers[0].pid == worker


def test_what_is_no_message_is_dropped_and_the_messages_behind_it_are_taken(own_stack: Stack) -> None:
    client = connect(own_stack, contacts=10)
    with Redis.from_url(own_stack.redis.url) as redis:
        for queue in QUEUES:
            redis.lpush(f"hubspot-export:{queue}", *NO_MESSAGES)
    assert client.finished(client.start("contacts"), within_s=WITHIN_S)["status"] == "succeeded"
    assert client.get("/export/contacts").status_code == 200
    own_stack.check()
    assert own_stack.workers[0].has_written("queue_element_dropped")


def test_no_command_through_the_broker_ends_or_changes_a_worker(own_stack: Stack) -> None:
    client = connect(own_stack, contacts=10)
    control = Celery("elsewhere", broker=own_stack.redis.url)
    control.conf.broker_transport_options = {"global_keyprefix": "hubspot-export:"}
    for command, arguments in (
        ("shutdown", {}),
        ("pool_shrink", {"n": 2}),
        ("cancel_consumer", {"queue": "bulk"}),
        ("rate_limit", {"task_name": "hubspot_export.run_slice", "rate_limit": "1/h"}),
        ("revoke", {"task_id": "any"}),
    ):
        control.control.broadcast(command, arguments=arguments)
    assert control.control.ping(timeout=10, limit=1)
    assert client.finished(client.start("contacts"))["status"] == "succeeded"
    own_stack.check()


@pytest.fixture
def rabbit(tmp_path: Path) -> Iterator[RabbitServer]:
    require_rabbitmq()
    with RabbitServer(tmp_path / "rabbitmq") as server:
        yield server
        server.kill()


@contextmanager
def running_over(broker: str, *, workers: int = 1) -> Iterator[Stack]:
    options = StackOptions(settings={**UNLIMITED, "CELERY_BROKER_URL": broker}, workers=workers)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        yield stack


def test_after_a_restart_of_rabbitmq_everything_goes_on(rabbit: RabbitServer) -> None:
    with running_over(rabbit.url, workers=2) as stack:
        client = connect(stack, contacts=250)
        assert client.finished(client.start("contacts"))["status"] == "succeeded"
        used = [client.get("/export/contacts?limit=1").status_code for _ in range(10)]  # connections in the pools

        rabbit.save_queues()
        rabbit.kill()
        answer = client.post("/export/contacts")
        assert answer.status_code == 202  # stored, and published by the sweep that beat asks for
        rabbit.start()

        stored = f"/jobs/{answer.json()['data']['job_id']}"
        assert client.finished(stored, within_s=WITHIN_S)["status"] == "succeeded"
        served = [client.get("/export/contacts?limit=1").status_code for _ in range(10)]
        assert (used, served) == ([200] * 10, [200] * 10)
        stack.check()
        assert sorted(name for name in rabbit.queues() if not name.endswith(".pidbox")) == sorted(QUEUES)


def test_a_password_that_rabbitmq_refuses_is_an_absence_that_is_waited_for(rabbit: RabbitServer) -> None:
    with running_over(rabbit.url) as stack:
        client = connect(stack, contacts=250)
        assert client.get("/export/contacts").status_code == 200
        rabbit.control("change_password", "guest", "another")
        rabbit.control("close_all_connections", "a password was changed")

        refused = client.get("/export/contacts")
        assert (refused.status_code, refused.json()["message"]) == (503, "The message broker is not available")
        accepted = client.post("/export/contacts")
        assert accepted.status_code == 202
        until(lambda: stack.workers[0].has_written("ACCESS_REFUSED"))
        rabbit.control("change_password", "guest", "guest")

        stored = f"/jobs/{accepted.json()['data']['job_id']}"
        assert client.finished(stored, within_s=WITHIN_S)["status"] == "succeeded"
        assert client.get("/export/contacts").status_code == 200
        stack.check()


def test_a_first_node_that_never_says_a_word_costs_no_call(rabbit: RabbitServer) -> None:
    """A server that is deaf from the beginning stands in for it: of a cluster the others would wait for it as well."""
    with socket.create_server((HOST, 0), backlog=1000) as deaf:
        nodes = f"amqp://guest:guest@{HOST}:{deaf.getsockname()[1]}//;{rabbit.url}"
        with running_over(nodes) as stack:  # the shim becomes ready: it asks /readyz
            client = connect(stack, contacts=10)
            for _ in range(3):
                began = time.monotonic()
                accepted = client.start("contacts")
                assert time.monotonic() - began < ANSWERED_WITHIN_S
                (job,) = client.documents("jobs", _id=accepted.removeprefix("/jobs/"))
                assert job["published_at"] is not None
            assert client.get("/export/contacts").status_code == 200
            assert client.finished(client.start("contacts"))["status"] == "succeeded"


def default_worker(stack: Stack, number: int) -> Process:
    """Build a worker as the README starts it, without a name of its own."""
    return Process(
        name=f"default-{number}",
        command=Command(
            arguments=[sys.executable, "-m", "celery", "-A", "worker", "worker"],
            environment={**python_environment(), **stack.settings},
            folder=stack.folder / "run",
        ),
        log=stack.logs / f"default-{number}.log",
        ready=lambda process: process.has_written(" ready."),
    )


def test_several_workers_start_on_one_machine_with_rabbitmq(rabbit: RabbitServer) -> None:
    with running_over(rabbit.url, workers=0) as stack:
        workers = [default_worker(stack, number) for number in (1, 2)]
        try:
            for worker in workers:
                worker.start().wait_ready()
            client = connect(stack, contacts=10)
            assert client.finished(client.start("contacts"))["status"] == "succeeded"
            for worker in workers:
                worker.check()
        finally:
            for worker in workers:
                worker.kill()
