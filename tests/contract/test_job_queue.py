"""The way to the workers: whether messages are left is seen alike on the fake and on a real Redis."""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue
from pydantic import SecretStr
from redis import Redis

from tests.contract.stores import new_job, present
from tests.fakes.queue import HoldingJobQueue
from tests.patience import PATIENCE_S
from worker.app import NOTE_MARK, QUEUE_BULK, QUEUE_INTERACTIVE, RUN_RPC_REQUEST, START_SYNC, TAKE_TURN
from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.jobs.status import JobKind, Line
from worker.jobs.turn import AccountTurn, StoredJobs
from worker.messaging.celery_groups import CeleryGroupQueue
from worker.messaging.celery_queues import CeleryJobQueue, CeleryRpcQueue
from worker.messaging.interfaces import WatchedJobQueue
from worker.rpc.requests import ExchangeCode, PlanExports, RpcRequest
from worker.telemetry.tracing import LINK


def app_on(url: str) -> Celery:
    app = Celery("test", broker=url, set_as_current=False)
    app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in (QUEUE_INTERACTIVE, QUEUE_BULK)]
    quick = {"socket_timeout": 1, "max_retries": 1, "interval_start": 0}
    app.conf.broker_transport_options = {**quick, "global_keyprefix": "test:"}
    return app


def on_redis(url: str) -> CeleryJobQueue:
    return CeleryJobQueue(app_on(url), now=present)


@pytest.fixture(params=["fake", "redis"])
def queue(request: pytest.FixtureRequest) -> WatchedJobQueue:
    return HoldingJobQueue() if request.param == "fake" else on_redis(request.getfixturevalue("redis_url"))


def test_a_queue_that_never_was_is_empty(queue: WatchedJobQueue) -> None:
    assert queue.length() == 0


def test_a_queue_is_not_empty_until_its_messages_are_taken(queue: WatchedJobQueue) -> None:
    queue.publish(new_job())
    assert queue.length() == 1


def test_an_rpc_request_waits_where_a_page_would_and_carries_its_id_only(redis_url: str) -> None:
    app = app_on(redis_url)
    rpc_request = RpcRequest(
        rpc_id="e1",
        account_id="a1",
        owner="u1",
        question=ExchangeCode(redirect_uri="https://app.test/cb"),
        created_at=present(),
        secret=SecretStr("the-code"),
    )

    CeleryRpcQueue(app).publish(rpc_request)

    queue: Any = app.amqp.queues[QUEUE_INTERACTIVE]
    with app.connection() as connection, connection.SimpleQueue(queue) as waiting:
        message = waiting.get(timeout=PATIENCE_S)
        message.ack()
    assert message.headers["task"] == RUN_RPC_REQUEST
    assert message.payload[0] == ["e1"]
    assert "the-code" not in str(message.headers) + str(message.payload)


def messages_in(app: Celery, name: str, *, count: int) -> list[tuple[str, list[Any]]]:
    """Take messages out of a queue, each as its task and its arguments."""
    queue: Any = app.amqp.queues[name]
    found = []
    with app.connection() as connection, connection.SimpleQueue(queue) as waiting:
        for _ in range(count):
            message = waiting.get(timeout=PATIENCE_S)
            message.ack()
            found.append((message.headers["task"], message.payload[0]))
    return found


def test_a_job_is_a_turn_of_its_account_in_the_queue_of_its_line(redis_url: str) -> None:
    app, at = app_on(redis_url), present()
    queue, job = CeleryJobQueue(app, now=lambda: at), new_job(account_id="a7")

    queue.publish(job)
    queue.publish(replace(job, kind=JobKind.PAGE))

    assert messages_in(app, QUEUE_BULK, count=1) == [(TAKE_TURN, ["a7", "bulk", at.isoformat()])]
    assert messages_in(app, QUEUE_INTERACTIVE, count=1) == [(TAKE_TURN, ["a7", "interactive", at.isoformat()])]


def test_a_turn_goes_without_its_instant_where_the_database_cannot_be_asked(redis_url: str) -> None:
    def away() -> datetime:
        raise StoreUnavailableError

    app = app_on(redis_url)
    CeleryJobQueue(app, now=away).publish(new_job())

    assert messages_in(app, QUEUE_BULK, count=1) == [(TAKE_TURN, ["a1", "bulk", None])]


def test_what_a_sweep_publishes_arrives_as_it_is_and_in_its_order(redis_url: str) -> None:
    app, at = app_on(redis_url), present()
    queue = CeleryJobQueue(app, now=present)

    queue.publish_turn(AccountTurn(account_id="a1", line=Line.BULK, as_of=at))
    queue.publish_start("s1")
    queue.publish_mark(Line.BULK, at)

    assert messages_in(app, QUEUE_BULK, count=3) == [
        (TAKE_TURN, ["a1", "bulk", at.isoformat()]),
        (START_SYNC, ["s1"]),
        (NOTE_MARK, ["bulk", at.isoformat()]),
    ]


def test_each_line_is_empty_or_not_by_itself(redis_url: str) -> None:
    queue = on_redis(redis_url)
    assert queue.is_empty(Line.BULK)

    queue.publish(new_job())

    assert {line: queue.is_empty(line) for line in Line} == {
        Line.INTERACTIVE: True,
        Line.BULK: False,
        Line.SYNC: False,
    }


def test_without_a_broker_an_rpc_request_is_refused() -> None:
    rpc_request = RpcRequest(
        rpc_id="e1", account_id="a1", owner="u1", question=PlanExports(exports=()), created_at=present()
    )
    with pytest.raises(BrokerUnavailableError):
        CeleryRpcQueue(app_on("redis://127.0.0.1:1/0")).publish(rpc_request)


def test_a_redis_that_lost_its_messages_is_empty(redis_url: str) -> None:
    queue = on_redis(redis_url)
    queue.publish(new_job())
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    assert queue.length() == 0


def test_a_broker_that_is_away_says_so_again_and_again() -> None:
    away = on_redis("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError):
            away.length()
        with pytest.raises(BrokerUnavailableError):
            away.publish(new_job())


@pytest.mark.parametrize("kind", [JobKind.EXPORT, JobKind.PAGE])
def test_a_group_is_published_in_messages_that_are_such_as_celery_sends(redis_url: str, kind: JobKind) -> None:
    app, at = app_on(redis_url), present()
    job = replace(new_job(account_id='ä7"\n'), kind=kind)
    queue = QUEUE_BULK if kind is JobKind.EXPORT else QUEUE_INTERACTIVE
    app.send_task(
        TAKE_TURN,
        args=[job.account_id, job.line.value, at.isoformat()],
        queue=queue,
        headers={LINK: "l"},
        ignore_result=True,
    )

    grouped(app).publish(StoredJobs(jobs=(job, job), as_of=at))

    with Redis.from_url(redis_url) as client:
        (sent, celerys) = map(json.loads, client.lrange(f"test:{queue}", 0, -1))
    known = {celerys["properties"]["correlation_id"]: "<id>", celerys["properties"]["delivery_tag"]: "<tag>"}
    ours = {sent["properties"]["correlation_id"]: "<id>", sent["properties"]["delivery_tag"]: "<tag>"}
    assert decoded(sent, ours) == decoded(celerys, known)


def decoded(message: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return a message with its body read, and its ids, which no other has, by their names."""
    body = json.loads(base64.b64decode(message["body"]))
    text = json.dumps({**message, "body": body})
    for value, name in names.items():
        text = text.replace(value, name)
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_group_brings_one_message_for_each_account_and_line_with_what_its_first_job_says_of_traces(
    redis_url: str,
) -> None:
    app, at = app_on(redis_url), present()
    jobs = [new_job(account_id=each) for each in ("a1", "a2", "a1")]
    page = replace(new_job(account_id="a1"), kind=JobKind.PAGE)

    grouped(app).publish(StoredJobs(jobs=(*jobs, page), as_of=at))

    assert messages_in(app, QUEUE_BULK, count=2) == [
        (TAKE_TURN, ["a1", "bulk", at.isoformat()]),
        (TAKE_TURN, ["a2", "bulk", at.isoformat()]),
    ]
    assert messages_in(app, QUEUE_INTERACTIVE, count=1) == [(TAKE_TURN, ["a1", "interactive", at.isoformat()])]
    assert on_redis(redis_url).length() == 0


def test_a_group_finds_its_way_though_the_broker_has_cut_the_connections_meanwhile(redis_url: str) -> None:
    app = app_on(redis_url)
    queue, stored = grouped(app), StoredJobs(jobs=(new_job(account_id="a1"), new_job(account_id="a2")), as_of=present())
    queue.publish(stored)
    with Redis.from_url(redis_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)

    queue.publish(stored)

    assert len(messages_in(app, QUEUE_BULK, count=4)) == 4


def test_without_a_broker_a_group_is_refused() -> None:
    stored = StoredJobs(jobs=(new_job(account_id="a1"), new_job(account_id="a2")), as_of=present())
    with pytest.raises(BrokerUnavailableError):
        grouped(app_on("redis://127.0.0.1:1/0")).publish(stored)


def grouped(app: Celery) -> CeleryGroupQueue:
    return CeleryGroupQueue(app, headers=lambda _: nullcontext({LINK: "l"}))
