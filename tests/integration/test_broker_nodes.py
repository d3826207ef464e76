"""What the doctor finds where several servers of RabbitMQ are named that are no cluster."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from celery import Celery

from api_shim.commands.checks.broker_nodes import check_nodes
from api_shim.commands.findings import Verdict
from sandbox.rabbitmq import RabbitServer
from tests.acceptance.rabbitmq import require_rabbitmq


def test_servers_of_their_own_are_told_from_the_nodes_of_a_cluster(tmp_path: Path) -> None:
    require_rabbitmq()
    with ExitStack() as running:
        servers = [running.enter_context(RabbitServer(tmp_path / name)) for name in ("one", "two")]
        found = check_nodes(Celery("doctor", broker=";".join(server.url for server in servers)))
        servers[1].kill()
        alone = check_nodes(Celery("doctor", broker=";".join(server.url for server in servers)))

    assert (found.verdict, alone.verdict) == (Verdict.WRONG, Verdict.WRONG)
    assert f"not in one cluster with the first: 127.0.0.1:{servers[1].port}" in found.text
    assert f"1 of 2 answer; away: 127.0.0.1:{servers[1].port}" in alone.text
