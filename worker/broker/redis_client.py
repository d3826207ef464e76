"""Clients of Redis, of one server or behind Sentinels, with or without TLS; they connect at first use."""

from __future__ import annotations

from typing import Any, cast

from redis import ConnectionError as RedisConnectionError
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from worker.broker.redis_urls import RedisAddress, parse_redis_url, without_tls

_TIMEOUT_S = 0.5
_SENTINEL_TIMEOUT_S = 0.5  # for each Sentinel, before the next one is asked


def impatient_redis(url: str) -> Redis:
    """Return a client that answers or fails within a second, for callers that can do without an answer.

    A connection that was closed while idle is reopened at once. The library's own retries take seconds.
    """
    retry = Retry(NoBackoff(), retries=1, supported_errors=(RedisConnectionError,))
    return redis_client(url, timeout_s=_TIMEOUT_S, retry=retry)


def redis_client(url: str, *, timeout_s: float, **options: Any) -> Redis:  # noqa: ANN401 - redis-py's options
    """Return a client of the master. `options` are passed to redis-py."""
    address = parse_redis_url(url)
    options |= {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if address.master is None:
        return Redis.from_url(without_tls(url), **_tls(address), **options)
    sentinel = cast("Any", Sentinel)(address.hosts, sentinel_kwargs=sentinel_arguments(address))
    client: Redis = sentinel.master_for(address.master, **_master(address), **options)
    return client


def async_redis_client(url: str, **options: Any) -> AsyncRedis:  # noqa: ANN401 - redis-py's options
    """Return a client for an event loop. `options` are passed to redis-py."""
    address = parse_redis_url(url)
    if address.master is None:
        return AsyncRedis.from_url(without_tls(url), **_tls(address), **options)
    arguments = sentinel_arguments(address) | {"retry": AsyncRetry(NoBackoff(), retries=0)}
    sentinel = cast("Any", AsyncSentinel)(address.hosts, sentinel_kwargs=arguments)
    client: AsyncRedis = sentinel.master_for(address.master, **_master(address), **options)
    return client


def sentinel_arguments(address: RedisAddress) -> dict[str, Any]:
    """Return redis-py's arguments for the Sentinels themselves, which kombu passes on.

    Without retries: the next Sentinel answers as well.
    """
    return {
        "socket_timeout": _SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
        "username": address.sentinel_username,
        "password": address.sentinel_password,
        "retry": Retry(NoBackoff(), retries=0),
        **_ssl(address),
    }


def _master(address: RedisAddress) -> dict[str, Any]:
    return {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        **_ssl(address),
    }


def _ssl(address: RedisAddress) -> dict[str, Any]:
    return {"ssl": True, **_tls(address)} if address.tls else {}


def _tls(address: RedisAddress) -> dict[str, Any]:
    return address.tls.for_redis() if address.tls else {}
