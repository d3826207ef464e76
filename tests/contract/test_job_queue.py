"""The way to the workers: whether messages are left is seen alike on the fake and on a real Redis."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue
from pydantic import SecretStr
from redis import Redis

from tests.contract.stores import new_job, present
from tests.fakes.queue import HoldingJobQueue
from tests.patience import PATIENCE_S
from worker.app import QUEUE_BULK, QUEUE_INTERACTIVE, RUN_ERRAND
from worker.errands import Errand, ExchangeCode, PlanExports
from worker.errors import BrokerUnavailableError
from worker.interfaces import WatchedJobQueue
from worker.job_queue import CeleryErrandQueue, CeleryJobQueue


def app_on(url: str) -> Celery:
    app = Celery("test", broker=url, set_as_current=False)
    app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in (QUEUE_INTERACTIVE, QUEUE_BULK)]
    quick = {"socket_timeout": 1, "max_retries": 1, "interval_start": 0}
    app.conf.broker_transport_options = {**quick, "global_keyprefix": "test:"}
    return app


def on_redis(url: str) -> CeleryJobQueue:
    return CeleryJobQueue(app_on(url))


@pytest.fixture(params=["fake", "redis"])
def queue(request: pytest.FixtureRequest) -> WatchedJobQueue:
    return HoldingJobQueue() if request.param == "fake" else on_redis(request.getfixturevalue("redis_url"))


def test_a_queue_that_never_was_is_empty(queue: WatchedJobQueue) -> None:
    assert queue.length() == 0


def test_a_queue_is_not_empty_until_its_messages_are_taken(queue: WatchedJobQueue) -> None:
    queue.publish(new_job())
    assert queue.length() == 1


def test_an_errand_waits_where_a_page_would_and_carries_its_id_only(redis_url: str) -> None:
    app = app_on(redis_url)
    errand = Errand(
        errand_id="e1",
        account_id="a1",
        owner="u1",
        question=ExchangeCode(redirect_uri="https://app.test/cb"),
        created_at=present(),
        secret=SecretStr("the-code"),
    )

    CeleryErrandQueue(app).publish(errand)

    queue: Any = app.amqp.queues[QUEUE_INTERACTIVE]
    with app.connection() as connection, connection.SimpleQueue(queue) as waiting:
        message = waiting.get(timeout=PATIENCE_S)
        message.ack()
    assert message.headers["task"] == RUN_ERRAND
    assert message.payload[0] == ["e1"]
    assert "the-code" not in str(message.headers) + str(message.payload)


def test_without_a_broker_an_errand_is_refused() -> None:
    errand = Errand(errand_id="e1", account_id="a1", owner="u1", question=PlanExports(exports=()), created_at=present())
    with pytest.raises(BrokerUnavailableError):
        CeleryErrandQueue(app_on("redis://127.0.0.1:1/0")).publish(errand)


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
