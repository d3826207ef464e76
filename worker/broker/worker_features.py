"""Turns off Celery features: remote commands that change a worker, its events, and RabbitMQ's delayed delivery."""

from __future__ import annotations

from typing import Any, cast

from celery.worker.consumer.connection import Connection
from celery.worker.consumer.delayed_delivery import DelayedDelivery
from celery.worker.consumer.heart import Heart
from celery.worker.control import Panel

ANSWERED = frozenset({"ping", "active_queues", "stats"})
"""Of the remote control: the container's health check, and what `hubspot-export doctor` asks."""

_TOLD_OF_BROKER = ("transport", "hostname", "port", "virtual_host", "heartbeat")


def leave_out_what_is_not_used() -> None:
    """Do without it in this process; doing so again changes nothing."""
    _answer_questions_only()
    cast("Any", DelayedDelivery).include_if = _never
    cast("Any", Heart).include_if = _never
    cast("Any", Connection).info = _where_the_broker_is


def _answer_questions_only() -> None:
    """Forget the commands that end or change a worker; one that is sent all the same is logged.

    Whoever may write to the broker may send them: with `shutdown`, `pool_shrink`, `cancel_consumer` or `revoke` a
    program that got hold of its address would stop every worker.
    """
    for commands in (Panel.data, Panel.meta):
        for name in set(commands) - ANSWERED:
            del commands[name]


def _never(_self: object, _consumer: object) -> bool:
    """Skip a bootstep.

    Delayed delivery would declare 28 more queues where queues are quorum queues, and nothing has a countdown. The heart
    publishes an event every two seconds that nobody hears, from the thread that reads messages, with retries for ever:
    with a frozen node that thread would hang there and never notice that AMQP's own heartbeats are missing.
    """
    return False


def _where_the_broker_is(_self: Connection, consumer: Any) -> dict[str, object]:  # noqa: ANN401 - Celery is not typed
    """Tell in `stats` where the broker is, and no more.

    Celery leaves out the password, but not those of Sentinels, which are among the transport's options; and what of
    these is no JSON would cost the whole answer.
    """
    known = consumer.connection.info() if consumer.connection else {}
    return {"broker": {name: known.get(name) for name in _TOLD_OF_BROKER}}
