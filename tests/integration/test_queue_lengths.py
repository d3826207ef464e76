"""Queue lengths: read over one connection that is kept, and reopened when the broker has closed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from celery import Celery
from kombu import Exchange, Queue
from redis import Redis

from sandbox.servers.rabbitmq import RabbitServer
from tests.contract.stores import new_job, present
from tests.patience import until
from worker.app import QUEUE_BULK, QUEUE_INTERACTIVE
from worker.errors import BrokerUnavailableError
from worker.jobs.status import Line
from worker.messaging.celery_queues import CeleryJobQueue

LISTS = 2 * 4  # two queues, and kombu's priorities
PREFIX = "test:"


@contextmanager
def queue_on(url: str) -> Iterator[CeleryJobQueue]:
    app = Celery("test", broker=url, set_as_current=False)
    app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in (QUEUE_INTERACTIVE, QUEUE_BULK)]
    if url.startswith("redis"):
        quick = {"socket_timeout": 1, "max_retries": 1, "interval_start": 0}
        app.conf.broker_transport_options = {**quick, "global_keyprefix": PREFIX}
    queue = CeleryJobQueue(app, now=present)
    try:
        yield queue
    finally:
        queue.close()
        cast("Any", app).close()


@pytest.fixture
def queue(redis_url: str) -> Iterator[CeleryJobQueue]:
    with queue_on(redis_url) as queue:
        yield queue


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def connections_of(redis: Redis) -> int:
    info: Any = redis.info("stats")
    return int(info["total_connections_received"])


def calls_of(redis: Redis) -> dict[str, int]:
    info: Any = redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): each["calls"] for name, each in info.items()}


def test_asking_redis_again_opens_no_connection_and_asks_for_the_lengths_alone(
    redis: Redis, queue: CeleryJobQueue
) -> None:
    queue.publish(new_job())
    assert queue.length() == 1
    connections, calls = connections_of(redis), calls_of(redis)

    for _ in range(5):
        assert queue.length() == 1

    asked = {name: count - calls.get(name, 0) for name, count in calls_of(redis).items()}
    assert connections_of(redis) == connections
    assert {name for name, count in asked.items() if count > 0} <= {"llen", "info", "ping"}
    assert asked["llen"] == 5 * LISTS


def test_messages_of_any_priority_are_counted(redis: Redis, queue: CeleryJobQueue) -> None:
    redis.lpush(f"{PREFIX}{QUEUE_BULK}", "one", "two")
    redis.lpush(f"{PREFIX}{QUEUE_INTERACTIVE}\x06\x169", "three")

    assert queue.length() == 3
    assert not queue.is_empty(Line.INTERACTIVE)


def test_a_connection_that_redis_has_closed_is_opened_again(redis: Redis, queue: CeleryJobQueue) -> None:
    queue.publish(new_job())
    for _ in range(3):
        assert queue.length() == 1
        cast("Any", redis).execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def connections_to(rabbit: RabbitServer) -> int:
    return len(rabbit.control("list_connections", "--silent", "--no-table-headers", "pid").splitlines())


def test_rabbitmq_is_asked_over_one_connection_until_that_is_gone(rabbit: RabbitServer) -> None:
    with queue_on(rabbit.url) as queue:
        assert queue.length() == 0  # neither queue is there
        assert queue.is_empty(Line.BULK)
        queue.publish(new_job())  # over another connection, of Celery's pool
        assert until(queue.length) == 1
        assert connections_to(rabbit) == 2
        for _ in range(5):
            assert queue.length() == 1
        assert connections_to(rabbit) == 2

        rabbit.control("close_all_connections", "a test")
        assert queue.length() == 1

        rabbit.kill()
        with pytest.raises(BrokerUnavailableError):
            queue.length()
        rabbit.start()
        assert queue.length() >= 0
