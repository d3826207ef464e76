"""Checks that Redis answers, is new enough, and persists its data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from redis import RedisError

from api_shim.commands.checks.findings import Finding, one_line, verdict_on, wrong
from worker.broker.redis_client import redis_client
from worker.settings import StoreSettings

SUBJECTS = ("redis", "redis memory", "redis persistence")

_TIMEOUT_S = 2.0
_OLDEST = (6, 2)


def check_redis(settings: StoreSettings) -> Iterator[Finding]:
    """Check the limiter's Redis, and the broker's if it is a different one."""
    broker = settings.celery_broker_url.get_secret_value()
    yield from _check(settings.redis, subject="redis")
    if broker != settings.redis and settings.broker.redis is not None:
        yield from _check(broker, subject="broker redis")


def judge_redis(info: Mapping[str, Any], *, subject: str) -> Iterator[Finding]:
    """Check the answer to INFO, which is used since hosted servers refuse CONFIG."""
    version = str(info.get("redis_version", "0"))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    policy = str(info.get("maxmemory_policy", "unknown"))
    appends = bool(info.get("aof_enabled"))
    yield verdict_on(
        subject, f"answers, version {version}", sound=numbers >= _OLDEST, advice="6.2 is the oldest that will do"
    )
    yield verdict_on(
        f"{subject} memory",
        f"maxmemory-policy {policy}",
        sound=policy == "noeviction",
        advice="set maxmemory-policy noeviction: an evicted queue is a queue of lost messages",
    )
    yield verdict_on(
        f"{subject} persistence",
        f"appendonly {'yes' if appends else 'no'}",
        sound=appends,
        advice="set appendonly yes: a restart forgets the queues otherwise",
    )


def _check(url: str, *, subject: str) -> Iterator[Finding]:
    try:
        with redis_client(url, timeout_s=_TIMEOUT_S) as redis:
            info = redis.info()
    except RedisError as error:
        yield wrong(subject, f"does not answer: {one_line(error)}")
        return
    yield from judge_redis(info, subject=subject)
