"""Several URLs: the nodes of a RabbitMQ cluster, of which one dies and comes back, and one freezes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from sandbox.configuration import python_environment
from sandbox.servers.rabbitmq import RabbitServer, rabbit_cluster
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.rabbitmq import require_rabbitmq
from tests.patience import HELD_UP_S, PATIENCE_S, until

WITHIN_S = 60.0  # the promise
ANSWERED_WITHIN_S = 3.0 + HELD_UP_S


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[RabbitServer]]:
    require_rabbitmq()
    with rabbit_cluster(tmp_path / "rabbitmq") as servers:
        yield servers
        for server in servers:
            server.kill()


def doctor(stack: Stack) -> str:
    """Return what the doctor says of the broker's nodes."""
    said = subprocess.run(
        [sys.executable, "-m", "api_shim.cli", "doctor"],
        env={**python_environment(), **stack.settings},
        cwd=stack.folder / "run",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return next(line for line in said.stdout.splitlines() if "broker nodes" in line)


@pytest.mark.timeout(600)
def test_a_node_that_dies_or_freezes_stops_nothing(nodes: list[RabbitServer]) -> None:
    urls = ";".join(node.url for node in nodes)
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0", "CELERY_BROKER_URL": urls}, workers=2)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        client = connect(stack, contacts=1000)
        stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.1)
        assert client.get("/export/contacts").status_code == 200
        assert "3 of 3 answer" in doctor(stack)
        workers = [worker.pid for worker in stack.workers]
        accepted = client.start("contacts", {"page_size": 25})

        nodes[0].kill()
        began = time.monotonic()
        ready = requests.get(f"{stack.shim_url}/readyz", timeout=PATIENCE_S)
        assert (ready.status_code, time.monotonic() - began < ANSWERED_WITHIN_S) == (200, True), ready.text
        all_end(client, [accepted, *(client.start("contacts", {"page_size": 25}) for _ in range(3))])
        assert "2 of 3 answer; away: 127.0.0.1:" in doctor(stack)

        nodes[0].begin().wait_ready()
        all_end(client, [client.start("contacts")])

        nodes[1].send(signal.SIGSTOP)  # it takes connections, and says nothing
        began = time.monotonic()
        accepted = client.start("contacts", {"page_size": 25})
        assert time.monotonic() - began < ANSWERED_WITHIN_S
        all_end(client, [accepted], within_s=PATIENCE_S)
        stack.check()
        assert [worker.pid for worker in stack.workers] == workers


def all_end(client: Client, paths: list[str], *, within_s: float = WITHIN_S) -> None:
    get = partial(client.get, "/export/contacts?limit=1")
    until(lambda: get().status_code, lambda status: status == 200, within_s=within_s)
    for path in paths:
        job = client.finished(path, within_s=within_s)
        assert (job["status"], job["progress"]["records"]) == ("succeeded", 1000)
