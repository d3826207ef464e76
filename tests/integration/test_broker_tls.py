"""Redis and RabbitMQ over TLS: a server whose certificate does not prove the host name is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from sandbox.servers.ports import HOST
from sandbox.servers.rabbitmq import RabbitServer
from tests.acceptance.certificates import Authority
from tests.acceptance.rabbitmq import require_rabbitmq
from tests.acceptance.redis_servers import PASSWORD, redis_over_tls
from worker.broker import amqps
from worker.broker.redis_client import async_redis_client, impatient_redis, redis_client
from worker.broker.urls import parse_broker_url

ELSEWHERE = "localhost"  # the same server by a name that is not in its certificate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder / "ours")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    return Authority(folder / "theirs")


@pytest.fixture(scope="module")
def redis(folder: Path, authority: Authority) -> Iterator[str]:
    """Run a Redis over TLS; yields its URL without parameters about certificates."""
    server = redis_over_tls(folder, authority=authority, certificate=authority.issue(HOST))
    try:
        server.start().wait_ready()
        yield f"rediss://:{PASSWORD}@{HOST}:{server.port}/0"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def rabbit(folder: Path, authority: Authority) -> Iterator[str]:
    require_rabbitmq()
    with RabbitServer(folder / "rabbitmq", certificate=authority.issue(HOST)) as server:
        yield server.url


def by_client(url: str) -> bool:
    with suppress(RedisError), redis_client(url, timeout_s=5) as client:
        return bool(client.ping())
    return False


def by_impatient_client(url: str) -> bool:
    with suppress(RedisError), impatient_redis(url) as client:
        return bool(client.ping())
    return False


def by_async_client(url: str) -> bool:
    async def ask() -> bool:
        async with async_redis_client(url) as client:
            return bool(await client.ping())

    with suppress(RedisError):
        return asyncio.run(ask())
    return False


def by_kombu(url: str) -> bool:
    broker = parse_broker_url(url)
    amqps.install()
    options = {"socket_timeout": 5, "socket_connect_timeout": 5} if broker.redis else {}
    tls = dict(broker.use_ssl) if broker.use_ssl else False
    with suppress(OperationalError), Connection(broker.url, ssl=tls, transport_options=options) as connection:
        connection.ensure_connection(max_retries=0, timeout=5)
        return connection.default_channel is not None
    return False


REDIS_WAYS = [by_client, by_impatient_client, by_async_client, by_kombu]


@pytest.fixture(
    params=[*(("redis", way) for way in REDIS_WAYS), ("rabbit", by_kombu)], ids=lambda each: str(each[1].__name__)
)
def reaches(request: pytest.FixtureRequest) -> Callable[..., bool]:
    """Return a function that reports whether a server is reached with these parameters, another host or no TLS."""
    server, way = request.param
    url: str = request.getfixturevalue(server)

    def ask(query: str = "", *, host: str = HOST, is_plain: bool = False) -> bool:
        scheme, _, rest = url.partition("://")
        scheme = scheme.removesuffix("s") if is_plain else scheme
        return bool(way(f"{scheme}://{rest.replace(HOST, host)}{query}"))

    return ask


def test_a_server_is_spoken_to_that_is_who_it_should_be(
    reaches: Callable[..., bool], authority: Authority, stranger: Authority
) -> None:
    ours = f"?ssl_ca_certs={authority.file}"
    assert reaches(ours)
    assert reaches(f"{ours}&ssl_check_hostname=false", host=ELSEWHERE)
    assert reaches("?ssl_cert_reqs=none")

    assert not reaches(), "no CA of this machine has signed it"
    assert not reaches(f"?ssl_ca_certs={stranger.file}"), "another CA has signed it"
    assert not reaches(ours, host=ELSEWHERE), "it is not for this name"
    assert not reaches(is_plain=True), "without TLS"
