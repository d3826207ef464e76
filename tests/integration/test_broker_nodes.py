"""What the doctor finds where several servers of RabbitMQ are named that are no cluster."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from api_shim.commands.checks.broker_nodes import check_nodes
from api_shim.commands.checks.findings import Verdict
from sandbox.servers.rabbitmq import RabbitServer


def test_servers_of_their_own_are_told_from_the_nodes_of_a_cluster(rabbit: RabbitServer, tmp_path: Path) -> None:
    with RabbitServer(tmp_path / "other") as other:
        broker = f"{rabbit.url};{other.url}"
        found = check_nodes(Celery("doctor", broker=broker))
        other.kill()
        alone = check_nodes(Celery("doctor", broker=broker))

    assert (found.verdict, alone.verdict) == (Verdict.WRONG, Verdict.WRONG)
    assert f"not in one cluster with the first: 127.0.0.1:{other.port}" in found.text
    assert f"1 of 2 answer; away: 127.0.0.1:{other.port}" in alone.text
