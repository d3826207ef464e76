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
_WITHIN_S = 2.5  # a client learns within 3 s

Checks = Mapping[type[UnavailableError], Callable[[], None]]
"""The error of a server that is away -> a check that returns if the server answers, else raises UnavailableError."""


class Readiness:
    """Checks all servers in parallel; one that has not answered in time counts as away.

    The route is public and an absent server answers slowly, so concurrent requests share one check and one thread.
    """

    def __init__(self, checks: Checks, *, within_s: float = _WITHIN_S) -> None:
        self._checks = checks
        self._within_s = within_s
        self._running: dict[type[UnavailableError], asyncio.Task[bool]] = {}

    async def check(self) -> None:
        """Raise UnavailableError if servers are away; its message names each of them."""
        checks = [self._check_of(kind) for kind in self._checks]
        if checks:
            await asyncio.wait(checks, timeout=self._within_s)
        asked = zip(self._checks, checks, strict=True)
        if away := [kind for kind, check in asked if not (check.done() and check.result())]:
            raise UnavailableError("; ".join(kind().message for kind in away))

    def _check_of(self, kind: type[UnavailableError]) -> asyncio.Task[bool]:
        """Return the check that is under way, or start one."""
        check = self._running.get(kind)
        if check is None or check.done():
            check = self._running[kind] = asyncio.create_task(_is_there(self._checks[kind]))
        return check


async def _is_there(reach: Callable[[], None]) -> bool:
    own_thread = CapacityLimiter(1)  # requests that wait for an absent server may hold all threads of the pool
    try:
        await anyio.to_thread.run_sync(reach, abandon_on_cancel=True, limiter=own_thread)
    except UnavailableError:
        return False
    return True


def reach_database(database: MongoDatabase) -> None:
    """Raise StoreUnavailableError where no primary answers; a replica set without a majority has none."""
    with translated_errors():
        database.command("ping")


def reach_broker(app: Celery) -> None:
    """Raise BrokerUnavailableError."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=nodes_of(app), interval_start=0, timeout=_BROKER_TIMEOUT_S)
    except NOT_REACHED as error:
        raise BrokerUnavailableError from error
