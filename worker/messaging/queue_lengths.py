"""QueueLengths: counts the messages of queues over one persistent connection."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any, cast

from amqp.exceptions import NotFound
from celery import Celery
from kombu import Connection

from worker.errors import BrokerUnavailableError

_WAIT_S = 5.0  # for another thread that is asking


class QueueLengths:
    """One thread asks at a time, and retries once; errors of the client library are not translated.

    kombu opens a connection for each new channel of Redis, so connection and channel are kept until one of them fails.
    """

    def __init__(self, app: Celery, *, nodes: int) -> None:
        self._app = app
        self._nodes = nodes
        self._asking = threading.Lock()
        self._connection: Connection | None = None
        self._channel: Any = None

    def count(self, names: Collection[str]) -> int:
        """Count the messages of these queues that nobody has taken; one that was never declared is empty.

        Raises BrokerUnavailableError where another thread is still waiting for an answer.
        """
        if not self._asking.acquire(timeout=_WAIT_S):
            raise BrokerUnavailableError
        try:
            return self._counted(names)
        finally:
            self._asking.release()

    def close(self) -> None:
        """Close the connection; the next count opens another one."""
        with self._asking:
            self._forget()

    def _counted(self, names: Collection[str]) -> int:
        connection = self._connected()
        try:
            return self._ask(names)
        except (*connection.connection_errors, *connection.channel_errors):  # the broker may have been restarted
            self._forget()
        self._connected()
        try:
            return self._ask(names)
        except Exception:
            self._forget()
            raise

    def _connected(self) -> Connection:
        """Return the connection with a channel on it."""
        if self._connection is None:
            self._connection = cast("Connection", cast("Any", self._app).connection_for_write())
        try:
            self._connection.ensure_connection(max_retries=self._nodes, interval_start=0)
            if self._channel is None:
                self._channel = self._connection.channel()
        except Exception:
            self._forget()
            raise
        return self._connection

    def _ask(self, names: Collection[str]) -> int:
        if hasattr(self._channel, "priority_steps"):
            return self._ask_redis(names)
        return sum(self._declared(name) for name in names)

    def _ask_redis(self, names: Collection[str]) -> int:
        """Ask for all lists of all queues in one round trip: kombu has one list for each priority."""
        with self._channel.client.pipeline(transaction=False) as pipeline:
            for name in names:
                for priority in self._channel.priority_steps:
                    pipeline.llen(self._channel._q_for_pri(name, priority))  # noqa: SLF001 - the name is kombu's own
            return sum(pipeline.execute())

    def _declared(self, name: str) -> int:
        """Ask RabbitMQ, which closes the channel if the queue does not exist."""
        try:
            return int(self._channel.queue_declare(queue=name, passive=True).message_count)
        except NotFound:
            self._channel = cast("Any", self._connection).channel()
            return 0

    def _forget(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.collect()
