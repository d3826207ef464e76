"""Queues on Celery, which publish ids by task name, without importing the tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias
from uuid import uuid4

from amqp.exceptions import AMQPError
from celery import Celery
from celery.utils.saferepr import saferepr
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as KombuOperationalError

from worker.app import (
    DELIVER,
    NOTE_MARK,
    QUEUE_BULK,
    QUEUE_INTERACTIVE,
    QUEUE_UPKEEP,
    RUN_RPC_REQUEST,
    START_SYNC,
    START_SYNCS,
    TAKE_TURN,
)
from worker.errors import BrokerUnavailableError, UnavailableError
from worker.jobs.job import Job
from worker.jobs.status import JobKind, Line
from worker.jobs.turn import AccountTurn, StoredJobs
from worker.messaging.queue_lengths import QueueLengths
from worker.rpc.requests import RpcRequest
from worker.telemetry.tracing import LINK, TRACEPARENT

_QUEUES = {Line.INTERACTIVE: QUEUE_INTERACTIVE, Line.BULK: QUEUE_BULK, Line.SYNC: QUEUE_BULK}
_ANSWER_S = 2.0  # for all nodes of a broker together, RabbitMQ's publisher confirm included
_QUICK = {
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}

NOT_REACHED = (KombuError, KombuOperationalError, AMQPError, OSError)
"""What is raised when the broker is away, or (AMQPError) refuses a password or a permission."""

# A pooled connection that a restarted broker has closed fails at its next use; the message may then arrive twice.
_ONCE_MORE = {"interval_start": 0, "interval_step": 0, "interval_max": 0}

Message: TypeAlias = dict[str, Any]
"""The arguments of `Producer.publish`."""


def answer_quickly(app: Celery) -> None:
    """Configure a process that only publishes to give up on the broker after 2 s, since clients wait for it."""
    quick = _quick_rabbitmq(nodes_of(app)) if app.conf.broker_write_url.startswith("amqp") else _QUICK
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, **quick}


def nodes_of(app: Celery) -> int:
    """Return how many nodes of RabbitMQ may be tried in turn; Redis counts as one, with or without Sentinels."""
    url: str = app.conf.broker_write_url
    return len(url.split(";")) if url.startswith("amqp") else 1


def _quick_rabbitmq(nodes: int) -> dict[str, float]:
    each_s = _ANSWER_S / nodes  # the first may accept connections and never answer
    return {
        "connect_timeout": each_s,
        "read_timeout": each_s,
        "write_timeout": each_s,
        "max_retries": nodes,
        "interval_start": 0,
    }


def link_to_origin(job: Job) -> dict[str, str]:
    """Return the header that links a message to the trace of the job's submission."""
    return {LINK: job.origin.traceparent} if job.origin.traceparent is not None else {}


def message_headers(app: Celery) -> dict[str, str]:
    """Return the trace headers of the message whose task this thread runs."""
    task = app.current_worker_task
    sent = (task.request.headers or {}) if task is not None else {}
    return {name: sent[name] for name in (TRACEPARENT, LINK) if isinstance(sent.get(name), str)}


class CeleryJobQueue:
    """JobQueue and TurnQueue on the broker; `headers` returns the trace headers of a job's message.

    A turn carries the instant of its publication by the clock `now`, or none where that cannot be read.
    """

    def __init__(
        self,
        app: Celery,
        *,
        now: Callable[[], datetime],
        headers: Callable[[Job], Mapping[str, str]] = link_to_origin,
    ) -> None:
        self._app = app
        self._now = now
        self._headers = headers
        self._lengths = QueueLengths(app, nodes=nodes_of(app))

    def publish(self, job: Job) -> None:
        """Publish once. A failure is raised, not retried: the job is stored, and a sweep publishes it."""
        headers = self._headers(job)
        if job.kind is JobKind.SYNC:
            self._send(START_SYNC, [job.job_id], job.line, headers)
            return
        as_of = None
        with suppress(UnavailableError):
            as_of = self._now()
        self._send_turn(AccountTurn(account_id=job.account_id, line=job.line, as_of=as_of), headers)

    def publish_turn(self, turn: AccountTurn) -> None:
        self._send_turn(turn, {})

    def publish_start(self, sync_id: str) -> None:
        self._send(START_SYNC, [sync_id], Line.SYNC, {})

    def publish_mark(self, line: Line, sent_at: datetime) -> None:
        self._send(NOTE_MARK, [line.value, sent_at.isoformat()], line, {})

    def _send_turn(self, turn: AccountTurn, headers: Mapping[str, str]) -> None:
        self._send(TAKE_TURN, _arguments(turn), turn.line, headers)

    def _send(self, task: str, args: list[Any], line: Line, headers: Mapping[str, str]) -> None:
        _send(self._app, task, args, queue=_QUEUES[line], headers=headers)

    def length(self) -> int:
        return self._count(set(_QUEUES.values()))

    def is_empty(self, line: Line) -> bool:
        return self._count({_QUEUES[line]}) == 0

    def close(self) -> None:
        """Close the connection that counts messages."""
        self._lengths.close()

    def _count(self, names: Collection[str]) -> int:
        try:
            return self._lengths.count(names)
        except NOT_REACHED as error:
            raise BrokerUnavailableError from error


class CeleryGroupQueue:
    """GroupQueue on the broker. Its messages equal those of `send_task`, and are prepared once.

    Redis takes the messages of a group in one call. A call that failed may still have been executed: then its messages
    arrive twice. RabbitMQ confirms each message.
    """

    def __init__(self, app: Celery, *, headers: Callable[[Job], AbstractContextManager[Mapping[str, str]]]) -> None:
        self._app = app
        self._headers = headers
        self._tasks = {
            line: PreparedTask(app, TAKE_TURN, queue=_QUEUES[line]) for line in (Line.INTERACTIVE, Line.BULK)
        }

    def publish(self, stored: StoredJobs) -> None:
        """Publish in one call, or one by one where there is a single message, or the call failed."""
        try:
            with ExitStack() as spans, self._app.producer_or_acquire() as producer:
                messages = [
                    self._tasks[turn.line].message(_arguments(turn), headers=spans.enter_context(self._headers(job)))
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
            producer.publish(**message, **_sending(self._app))


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


class CelerySyncQueue:
    """Publishes many syncs in one message: one for each would take as long as all the rest of a dispatch."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, syncs: Sequence[Job]) -> None:
        """Publish one message for all. The sweeper publishes those that it did not start."""
        ids = [sync.job_id for sync in syncs]
        _send(self._app, START_SYNCS, [ids], queue=_QUEUES[Line.SYNC], headers={})


class CeleryRpcQueue:
    """Publishes RPC requests into the interactive queue."""

    def __init__(self, app: Celery, *, headers: Callable[[], Mapping[str, str]] = dict) -> None:
        self._app = app
        self._headers = headers

    def publish(self, rpc_request: RpcRequest) -> None:
        """Publish once. Nobody publishes it again: the caller is told that there was no answer."""
        _send(self._app, RUN_RPC_REQUEST, [rpc_request.rpc_id], queue=QUEUE_INTERACTIVE, headers=self._headers())


class CeleryDeliveryQueue:
    """Publishes webhook deliveries into the upkeep queue."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, job_id: str) -> None:
        """Publish once. The delivery stays due: a later round publishes it again."""
        _send(self._app, DELIVER, [job_id], queue=QUEUE_UPKEEP, headers={})


def _arguments(turn: AccountTurn) -> list[str | None]:
    return [turn.account_id, turn.line.value, turn.as_of.isoformat() if turn.as_of is not None else None]


def _sending(app: Celery) -> dict[str, Any]:
    nodes = nodes_of(app)
    return {"retry": True, "retry_policy": {"max_retries": nodes, **_ONCE_MORE}, "confirm_timeout": _ANSWER_S / nodes}


def _send(app: Celery, task: str, args: list[Any], *, queue: str, headers: Mapping[str, str]) -> None:
    try:
        app.send_task(task, args=args, queue=queue, headers=dict(headers), ignore_result=True, **_sending(app))
    except NOT_REACHED as error:
        raise BrokerUnavailableError from error
