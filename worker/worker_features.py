"""What of Celery a worker does without: commands that change it from outside, and RabbitMQ's delayed delivery."""

from __future__ import annotations

from typing import Any, cast

from celery.worker.consumer.delayed_delivery import DelayedDelivery
from celery.worker.control import Panel

ANSWERED = frozenset({"ping", "active_queues", "stats"})
"""Of the remote control: the container's health check, and what `hubspot-export doctor` asks."""


def leave_out_what_is_not_used() -> None:
    """Do without it in this process; doing so again changes nothing."""
    _answer_questions_only()
    cast("Any", DelayedDelivery).include_if = _never


def _answer_questions_only() -> None:
    """Forget the commands that end or change a worker; one that is sent all the same is logged.

    Whoever may write to the broker may send them: with `shutdown`, `pool_shrink`, `cancel_consumer` or `revoke` a
    program that got hold of its address would stop every worker.
    """
    for commands in (Panel.data, Panel.meta):
        for name in set(commands) - ANSWERED:
            del commands[name]


def _never(_self: DelayedDelivery, _consumer: object) -> bool:
    """Declare no delayed queues: where queues are quorum queues it would be 28 more, and nothing has a countdown."""
    return False
