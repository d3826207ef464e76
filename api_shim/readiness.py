"""Readiness: whether MongoDB takes writes and the broker answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import anyio
import anyio.to_thread
from celery import Celery
from kombu.exceptions import OperationalError

from worker.errors import BrokerUnavailableError, UnavailableError
from worker.mongo.connection import MongoDatabase, translated_errors

_BROKER_TIMEOUT_S = 2
_WITHIN_S = 2.5  # a client is told within 3 s

Checks = Mapping[type[UnavailableError], Callable[[], None]]
"""What a server that is away is called -> a call that returns when it is there, else raises UnavailableError."""


class Readiness:
    """Asks all servers at once, now; one that has not answered in time is away."""

    def __init__(self, checks: Checks, *, within_s: float = _WITHIN_S) -> None:
        self._checks = checks
        self._within_s = within_s

    async def check(self) -> None:
        """Raise UnavailableError when a server is away; its message names each that is."""
        away = dict.fromkeys(self._checks)

        async def ask(kind: type[UnavailableError], reach: Callable[[], None]) -> None:
            with suppress(UnavailableError):
                own_thread = anyio.CapacityLimiter(1)  # requests that wait for an absent server hold all common ones
                await anyio.to_thread.run_sync(reach, abandon_on_cancel=True, limiter=own_thread)
                del away[kind]

        with anyio.move_on_after(self._within_s):
            async with anyio.create_task_group() as group:
                for kind, reach in self._checks.items():
                    group.start_soon(ask, kind, reach)
        if away:
            raise UnavailableError("; ".join(kind().message for kind in away))


def reach_database(database: MongoDatabase) -> None:
    """Raise StoreUnavailableError when there is no primary, which a replica set without a majority has none of."""
    with translated_errors():
        database.command("ping")


def reach_broker(app: Celery) -> None:
    """Raise BrokerUnavailableError."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_BROKER_TIMEOUT_S)
    except (OperationalError, OSError) as error:
        raise BrokerUnavailableError from error
