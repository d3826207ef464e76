"""Queues on Celery, which publish ids by task name, without importing the tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery
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
from worker.jobs.turn import AccountTurn
from worker.messaging.queue_lengths import QueueLengths
from worker.rpc.requests import RpcRequest
from worker.telemetry.tracing import LINK, TRACEPARENT

QUEUES = {Line.INTERACTIVE: QUEUE_INTERACTIVE, Line.BULK: QUEUE_BULK, Line.SYNC: QUEUE_BULK}
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
        self._send(TAKE_TURN, arguments_of(turn), turn.line, headers)

    def _send(self, task: str, args: list[Any], line: Line, headers: Mapping[str, str]) -> None:
        _send(self._app, task, args, queue=QUEUES[line], headers=headers)

    def length(self) -> int:
        return self._count(set(QUEUES.values()))

    def is_empty(self, line: Line) -> bool:
        return self._count({QUEUES[line]}) == 0

    def close(self) -> None:
        """Close the connection that counts messages."""
        self._lengths.close()

    def _count(self, names: Collection[str]) -> int:
        try:
            return self._lengths.count(names)
        except NOT_REACHED as error:
            raise BrokerUnavailableError from error


class CelerySyncQueue:
    """Publishes many syncs in one message: one for each would take as long as all the rest of a dispatch."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, syncs: Sequence[Job]) -> None:
        """Publish one message for all. The sweeper publishes those that it did not start."""
        ids = [sync.job_id for sync in syncs]
        _send(self._app, START_SYNCS, [ids], queue=QUEUES[Line.SYNC], headers={})


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


def arguments_of(turn: AccountTurn) -> list[str | None]:
    """Return the arguments of the task that takes a turn."""
    return [turn.account_id, turn.line.value, turn.as_of.isoformat() if turn.as_of is not None else None]


def sending(app: Celery) -> dict[str, Any]:
    """Return how to retry and to await confirmation: at once, on each node of the broker."""
    nodes = nodes_of(app)
    return {"retry": True, "retry_policy": {"max_retries": nodes, **_ONCE_MORE}, "confirm_timeout": _ANSWER_S / nodes}


def _send(app: Celery, task: str, args: list[Any], *, queue: str, headers: Mapping[str, str]) -> None:
    try:
        app.send_task(task, args=args, queue=queue, headers=dict(headers), ignore_result=True, **sending(app))
    except NOT_REACHED as error:
        raise BrokerUnavailableError from error
