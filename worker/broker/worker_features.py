"""Disables Celery features: remote commands that change a worker, its events, and RabbitMQ's delayed delivery."""

from __future__ import annotations

from typing import Any, cast

from celery.worker.consumer.connection import Connection
from celery.worker.consumer.delayed_delivery import DelayedDelivery
from celery.worker.consumer.heart import Heart
from celery.worker.control import Panel

ANSWERED = frozenset({"ping", "active_queues", "stats"})
"""The remote commands that stay: for the container's health check, and for `hubspot-export doctor`."""

_TOLD_OF_BROKER = ("transport", "hostname", "port", "virtual_host", "heartbeat")


def leave_out_what_is_not_used() -> None:
    """Disable the features in this process. Idempotent."""
    _answer_questions_only()
    cast("Any", DelayedDelivery).include_if = _never
    cast("Any", Heart).include_if = _never
    cast("Any", Connection).info = _where_the_broker_is


def _answer_questions_only() -> None:
    """Remove the commands that end or change a worker; Celery logs one that is sent nevertheless.

    Everyone who can write to the broker can send them: with `shutdown`, `pool_shrink`, `cancel_consumer` or `revoke` a
    program that has the broker's address could stop every worker.
    """
    for commands in (Panel.data, Panel.meta):
        for name in set(commands) - ANSWERED:
            del commands[name]


def _never(_self: object, _consumer: object) -> bool:
    """Skip a bootstep.

    Delayed delivery would declare 28 more queues for quorum queues, and no task has a countdown. The heart publishes an
    event every two seconds that nobody reads, from the thread that reads messages, with endless retries: with a frozen
    node that thread would hang there and never notice that AMQP's own heartbeats are missing.
    """
    return False


def _where_the_broker_is(_self: Connection, consumer: Any) -> dict[str, object]:  # noqa: ANN401 - Celery is not typed
    """Report the broker's address in `stats`, and nothing else.

    Celery omits the password, but not those of Sentinels, which are among the transport's options; and an option that
    is not JSON would fail the whole answer.
    """
    known = consumer.connection.info() if consumer.connection else {}
    return {"broker": {name: known.get(name) for name in _TOLD_OF_BROKER}}
