"""Readiness: whether MongoDB takes writes and the broker answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import anyio.to_thread
from anyio import CapacityLimiter
from celery import Celery

from worker.errors import BrokerUnavailableError, UnavailableError
from worker.messaging.celery_queues import NOT_REACHED, nodes_of
from worker.mongo.database import MongoDatabase, translated_errors

_BROKER_TIMEOUT_S = 2
_WITHIN_S = 2.5  # a client is told within 3 s

Checks = Mapping[type[UnavailableError], Callable[[], None]]
"""What a server that is away is called -> a call that returns when it is there, else raises UnavailableError."""


class Readiness:
    """Asks all servers at once, now; one that has not answered in time is away.

    Anyone may ask, and an absent server takes its time: all who ask meanwhile share one question and one thread.
    """

    def __init__(self, checks: Checks, *, within_s: float = _WITHIN_S) -> None:
        self._checks = checks
        self._within_s = within_s
        self._questions: dict[type[UnavailableError], asyncio.Task[bool]] = {}

    async def check(self) -> None:
        """Raise UnavailableError when a server is away; its message names each that is."""
        questions = [self._question(kind) for kind in self._checks]
        if questions:
            await asyncio.wait(questions, timeout=self._within_s)
        asked = zip(self._checks, questions, strict=True)
        if away := [kind for kind, question in asked if not (question.done() and question.result())]:
            raise UnavailableError("; ".join(kind().message for kind in away))

    def _question(self, kind: type[UnavailableError]) -> asyncio.Task[bool]:
        """Return the question that is under way, or ask a new one."""
        question = self._questions.get(kind)
        if question is None or question.done():
            question = self._questions[kind] = asyncio.create_task(_is_there(self._checks[kind]))
        return question


async def _is_there(reach: Callable[[], None]) -> bool:
    own_thread = CapacityLimiter(1)  # requests that wait for an absent server hold all common ones
    try:
        await anyio.to_thread.run_sync(reach, abandon_on_cancel=True, limiter=own_thread)
    except UnavailableError:
        return False
    return True


def reach_database(database: MongoDatabase) -> None:
    """Raise StoreUnavailableError when there is no primary, which a replica set without a majority has none of."""
    with translated_errors():
        database.command("ping")


def reach_broker(app: Celery) -> None:
    """Raise BrokerUnavailableError."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=nodes_of(app), interval_start=0, timeout=_BROKER_TIMEOUT_S)
    except NOT_REACHED as error:
        raise BrokerUnavailableError from error
