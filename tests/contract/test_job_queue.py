"""The way to the workers: whether messages are left is seen alike on the fake and on a real Redis."""

from __future__ import annotations

import pytest
from celery import Celery
from kombu import Exchange, Queue
from redis import Redis

from tests.contract.stores import new_job
from tests.fakes.queue import HoldingJobQueue
from worker.app import QUEUE_BULK, QUEUE_INTERACTIVE
from worker.errors import BrokerUnavailableError
from worker.interfaces import WatchedJobQueue
from worker.job_queue import CeleryJobQueue


def on_redis(url: str) -> CeleryJobQueue:
    app = Celery("test", broker=url, set_as_current=False)
    app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in (QUEUE_INTERACTIVE, QUEUE_BULK)]
    app.conf.broker_transport_options = {"socket_timeout": 1, "max_retries": 1, "global_keyprefix": "test:"}
    return CeleryJobQueue(app)


@pytest.fixture(params=["fake", "redis"])
def queue(request: pytest.FixtureRequest) -> WatchedJobQueue:
    return HoldingJobQueue() if request.param == "fake" else on_redis(request.getfixturevalue("redis_url"))


def test_a_queue_that_never_was_is_empty(queue: WatchedJobQueue) -> None:
    assert queue.length() == 0


def test_a_queue_is_not_empty_until_its_messages_are_taken(queue: WatchedJobQueue) -> None:
    queue.publish(new_job())
    assert queue.length() == 1


def test_a_redis_that_lost_its_messages_is_empty(redis_url: str) -> None:
    queue = on_redis(redis_url)
    queue.publish(new_job())
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    assert queue.length() == 0


def test_a_broker_that_is_away_says_so() -> None:
    with pytest.raises(BrokerUnavailableError):
        on_redis("redis://127.0.0.1:1/0").length()
