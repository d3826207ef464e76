"""Queues on Celery: they publish ids by task name, without importing the task; BoundedQueue: in time."""

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
"""What a broker's absence comes as; AMQPError, raw, where it is there but refuses a password or a right."""

# A pooled connection that a restarted broker has cut shows it at its next use; the message may then come twice.
_ONCE_MORE = {"interval_start": 0, "interval_step": 0, "interval_max": 0}

Message: TypeAlias = dict[str, Any]
"""What `Producer.publish` takes."""


def answer_quickly(app: Celery) -> None:
    """Have a process that only publishes give up on an absent broker in 2 s: a client waits at the other end."""
    quick = _quick_rabbitmq(nodes_of(app)) if app.conf.broker_write_url.startswith("amqp") else _QUICK
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, **quick}


def nodes_of(app: Celery) -> int:
    """Count the nodes of RabbitMQ that may be tried in turn; a Redis is one, with Sentinels or without."""
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
    """Return the header that leads from a message to the trace that the job was submitted in."""
    return {LINK: job.origin.traceparent} if job.origin.traceparent is not None else {}


def message_headers(app: Celery) -> dict[str, str]:
    """Return what the message of the task that this thread works on says of traces."""
    task = app.current_worker_task
    sent = (task.request.headers or {}) if task is not None else {}
    return {name: sent[name] for name in (TRACEPARENT, LINK) if isinstance(sent.get(name), str)}


class CeleryJobQueue:
    """JobQueue and TurnQueue on the broker; `headers` are what a job's message says of traces besides.

    A turn carries the instant of its publication, by the clock of `now`, or none if that cannot be asked.
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
        """Publish once. A failure is reported, never retried here: the job is stored, and a sweep publishes it."""
        headers = self._headers(job)
        if job.kind is JobKind.SYNC:
            self._send(START_SYNC, [job.job_id], job.line, headers)
            return
        as_of = None
        with suppress(UnavailableError):
            as_of = self._now()
        self._send_turn(AccountTurn(account_id=job.account_id, line=job.line, as_of=as_of), headers)

    def publish_turn(self, turn: AccountTurn) -> None:
        """Publish a turn as it is."""
        self._send_turn(turn, {})

    def publish_start(self, sync_id: str) -> None:
        """Publish the start of a sync."""
        self._send(START_SYNC, [sync_id], Line.SYNC, {})

    def publish_mark(self, line: Line, sent_at: datetime) -> None:
        """Publish a mark into the queue of a line."""
        self._send(NOTE_MARK, [line.value, sent_at.isoformat()], line, {})

    def _send_turn(self, turn: AccountTurn, headers: Mapping[str, str]) -> None:
        self._send(TAKE_TURN, _arguments(turn), turn.line, headers)

    def _send(self, task: str, args: list[Any], line: Line, headers: Mapping[str, str]) -> None:
        _send(self._app, task, args, queue=_QUEUES[line], headers=headers)

    def length(self) -> int:
        """Count the messages that no worker has taken yet."""
        return self._count(set(_QUEUES.values()))

    def is_empty(self, line: Line) -> bool:
        """Return whether there is none in the queue of a line."""
        return self._count({_QUEUES[line]}) == 0

    def close(self) -> None:
        """Close the connection by which messages are counted."""
        self._lengths.close()

    def _count(self, names: Collection[str]) -> int:
        try:
            return self._lengths.count(names)
        except NOT_REACHED as error:
            raise BrokerUnavailableError from error


class CeleryGroupQueue:
    """GroupQueue on the broker. Its messages are what `send_task` makes of a turn, prepared once.

    Redis takes the messages of a group in one call. Of several, it may have taken those that a failed call was about:
    they come twice then. RabbitMQ confirms each.
    """

    def __init__(self, app: Celery, *, headers: Callable[[Job], AbstractContextManager[Mapping[str, str]]]) -> None:
        self._app = app
        self._headers = headers
        self._tasks = {
            line: PreparedTask(app, TAKE_TURN, queue=_QUEUES[line]) for line in (Line.INTERACTIVE, Line.BULK)
        }

    def publish(self, stored: StoredJobs) -> None:
        """Publish once, and what a single call did not get through once more."""
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
        """Return whether that went well: a connection from the pool may be one whose broker was restarted."""
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
    """A task's messages in a queue: as `send_task` makes them, without building anew what is the same in each."""

    def __init__(self, app: Celery, task: str, *, queue: str) -> None:
        self._app = app
        self._task = task
        self._queue = queue

    def message(self, args: Sequence[str | None], *, headers: Mapping[str, str]) -> Message:
        """Return the arguments of `Producer.publish`."""
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
        """Return headers, the end of the body and the queue. Celery's configuration is read when it is first needed."""
        made = self._app.amqp.create_task_message("", self._task, [], {}, ignore_result=True)
        return made.headers, json.dumps(made.body[2]), self._app.amqp.queues[self._queue]


class CelerySyncQueue:
    """The queue of syncs by the dozen: a message for each would take as long as all the rest of a dispatch."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, syncs: Sequence[Job]) -> None:
        """Publish one message for all. The sweeper publishes each that was not started."""
        ids = [sync.job_id for sync in syncs]
        _send(self._app, START_SYNCS, [ids], queue=_QUEUES[Line.SYNC], headers={})


class CeleryRpcQueue:
    """The same for RPC requests, in the queue of those that someone waits for."""

    def __init__(self, app: Celery, *, headers: Callable[[], Mapping[str, str]] = dict) -> None:
        self._app = app
        self._headers = headers

    def publish(self, rpc_request: RpcRequest) -> None:
        """Publish once. Nobody publishes again: who waits for the answer is told that there is none."""
        _send(self._app, RUN_RPC_REQUEST, [rpc_request.rpc_id], queue=QUEUE_INTERACTIVE, headers=self._headers())


class CeleryDeliveryQueue:
    """The same for webhooks, in the queue of what nobody waits for."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, job_id: str) -> None:
        """Publish once. The delivery stays due: a later round publishes again."""
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
