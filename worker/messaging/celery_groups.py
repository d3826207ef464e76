"""CeleryGroupQueue: publishes for a group of jobs in one call, by messages that are prepared once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from typing import Any, TypeAlias
from uuid import uuid4

from celery import Celery
from celery.utils.saferepr import saferepr

from worker.app import TAKE_TURN
from worker.errors import BrokerUnavailableError
from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.jobs.turn import StoredJobs
from worker.messaging.celery_queues import NOT_REACHED, QUEUES, arguments_of, sending

Message: TypeAlias = dict[str, Any]
"""The arguments of `Producer.publish`."""


class CeleryGroupQueue:
    """GroupQueue on the broker. Its messages equal those of `send_task`, and are prepared once.

    Redis takes the messages of a group in one call. A call that failed may still have been executed: then its messages
    arrive twice. RabbitMQ confirms each message.
    """

    def __init__(self, app: Celery, *, headers: Callable[[Job], AbstractContextManager[Mapping[str, str]]]) -> None:
        self._app = app
        self._headers = headers
        self._tasks = {line: PreparedTask(app, TAKE_TURN, queue=QUEUES[line]) for line in (Line.INTERACTIVE, Line.BULK)}

    def publish(self, stored: StoredJobs) -> None:
        """Publish in one call, or one by one where there is a single message, or the call failed."""
        try:
            with ExitStack() as spans, self._app.producer_or_acquire() as producer:
                messages = [
                    self._tasks[turn.line].message(arguments_of(turn), headers=spans.enter_context(self._headers(job)))
                    for turn, job in stored.turns
                ]
                self._publish_over(producer, messages)
        except NOT_REACHED as error:
            raise BrokerUnavailableError from error

    def _publish_over(self, producer: Any, messages: Sequence[Message]) -> None:  # noqa: ANN401 - its types lack `batch`
        lost = (*producer.connection.connection_errors, *producer.connection.channel_errors)
        try:
            if (
                len(messages) == 1
                or not producer.supports_batch_publish
                or not self._publish_together(producer, messages)
            ):
                self._publish_each(producer, messages)
        except lost as error:
            raise BrokerUnavailableError from error

    def _publish_together(self, producer: Any, messages: Sequence[Message]) -> bool:  # noqa: ANN401 - the same
        """Return whether it succeeded: a pooled connection may be one to a broker that has been restarted."""
        try:
            with producer.batch():
                self._publish_each(producer, messages)
        except (*NOT_REACHED, *producer.connection.connection_errors):
            return False
        return True

    def _publish_each(self, producer: Any, messages: Sequence[Message]) -> None:  # noqa: ANN401 - the same
        for message in messages:
            producer.publish(**message, **sending(self._app))


class PreparedTask:
    """A task's messages in a queue, as `send_task` builds them, without rebuilding what is the same in each."""

    def __init__(self, app: Celery, task: str, *, queue: str) -> None:
        self._app = app
        self._task = task
        self._queue = queue

    def message(self, args: Sequence[str | None], *, headers: Mapping[str, str]) -> Message:
        template, embedded, declared = self._prepared
        task_id, text = str(uuid4()), json.dumps(args)
        ids = {"id": task_id, "root_id": task_id, "argsrepr": saferepr(list(args), self._app.amqp.argsrepr_maxsize)}
        return {
            "body": f"[{text}, {{}}, {embedded}]",
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "headers": {**template, **ids, **headers},
            "exchange": "",
            "routing_key": self._queue,
            "declare": [declared],
            "delivery_mode": declared.exchange.delivery_mode or self._app.conf.task_default_delivery_mode,
            "correlation_id": task_id,
            "reply_to": self._app.thread_oid,
        }

    @cached_property
    def _prepared(self) -> tuple[Mapping[str, object], str, Any]:
        """Headers, the end of the body, and the queue; lazily, since Celery's configuration is read by this."""
        made = self._app.amqp.create_task_message("", self._task, [], {}, ignore_result=True)
        return made.headers, json.dumps(made.body[2]), self._app.amqp.queues[self._queue]
