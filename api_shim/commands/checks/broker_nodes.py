"""Checks that the configured RabbitMQ nodes answer, and that they form one cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, cast

from celery import Celery
from kombu import Connection

from api_shim.commands.checks.findings import Finding, verdict_on, wrong
from worker.messaging.celery_queues import NOT_REACHED

SUBJECT = "broker nodes"

_ANSWER_S = 2
_LOCKED = 405


def check_nodes(app: Celery) -> Finding:
    with ExitStack() as open_connections:
        connections = [
            open_connections.enter_context(app.connection_for_write(url))
            for url in app.conf.broker_write_url.split(";")
        ]
        return judge_nodes(dict(_ask(connections)))


def judge_nodes(nodes: Mapping[str, bool | None]) -> Finding:
    """Check that each node sees the queue of the first; None: the node does not answer.

    Separate servers would lose jobs: a worker connected to one never receives what was published to another.
    """
    if strangers := [node for node, is_of_cluster in nodes.items() if is_of_cluster is False]:
        found = f"not in one cluster with the first: {', '.join(strangers)}"
        return wrong(SUBJECT, f"{found}; name the nodes of one cluster in CELERY_BROKER_URL")
    away = [node for node, is_of_cluster in nodes.items() if is_of_cluster is None]
    return verdict_on(
        SUBJECT,
        f"{len(nodes) - len(away)} of {len(nodes)} answer" + (f"; away: {', '.join(away)}" if away else ""),
        sound=not away,
        advice="quorum queues work while a majority of the cluster's nodes runs",
    )


def _ask(connections: list[Connection]) -> Iterator[tuple[str, bool | None]]:
    """Declare a temporary queue on the first node that answers, and look for it from each of the others."""
    probe: str | None = None
    for connection in connections:
        name = f"{connection.hostname}:{connection.port}"
        try:
            connection.ensure_connection(max_retries=0, timeout=_ANSWER_S)
            if probe is None:
                probe, is_of_cluster = _declare_probe(connection), True
            else:
                is_of_cluster = _sees(connection, probe)
        except NOT_REACHED:
            yield name, None
        else:
            yield name, is_of_cluster


def _declare_probe(connection: Connection) -> str:
    channel = cast("Any", connection.default_channel)
    return str(channel.queue_declare(exclusive=True, auto_delete=True).queue)


def _sees(connection: Connection, queue: str) -> bool:
    """Whether this node knows an exclusive queue of another connection: it is then locked, otherwise not found."""
    channel = cast("Any", connection.default_channel)
    try:
        channel.queue_declare(queue, passive=True)
    except connection.channel_errors as error:
        return getattr(error, "reply_code", None) == _LOCKED
    return True
