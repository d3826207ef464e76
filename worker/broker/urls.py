"""CELERY_BROKER_URL: one Redis, Sentinels, or the nodes of a RabbitMQ cluster; and Celery's settings for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from worker.broker.redis_urls import REDIS_SCHEMES, SENTINEL_SCHEMES, RedisAddress, parse_redis_url
from worker.broker.tls_options import TLS_PARAMETERS, TlsOptions

AMQP_SCHEMES = ("amqp", "amqps")

_AMQP_PARAMETERS = TLS_PARAMETERS | {"heartbeat", "connect_timeout", "login_method"}
_STARTS = " or ".join(f"{scheme}://" for scheme in (*REDIS_SCHEMES, *SENTINEL_SCHEMES, *AMQP_SCHEMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """A broker's settings for Celery: `url` is kombu's, with a ; between several; `use_ssl` is None without TLS.

    `nodes` is the number of servers: one, or the nodes of a RabbitMQ cluster. `redis` is None for RabbitMQ.
    """

    url: str = field(repr=False)
    use_ssl: Mapping[str, Any] | None = None
    nodes: int = 1
    redis: RedisAddress | None = None


def parse_broker_url(url: str) -> BrokerAddress:
    """Parse a URL, or several with a ; between them. Raises ValueError, whose text contains no part of a URL."""
    scheme = url.partition("://")[0]
    if scheme in AMQP_SCHEMES:
        return _rabbitmq(scheme, url.split(";"))
    if scheme in {*REDIS_SCHEMES, *SENTINEL_SCHEMES, "sentinel", "redis-sentinel"}:
        return _redis(url)
    raise ValueError(f"must be a URL that starts with {_STARTS}, with a host and a valid port")


def _redis(url: str) -> BrokerAddress:
    address = parse_redis_url(url)
    if address.parameters:
        raise ValueError(f"has unknown parameters: {', '.join(sorted(address.parameters))}")
    scheme = "sentinel" if address.master else ("rediss" if address.tls else "redis")
    return BrokerAddress(
        url=";".join(_kombu_url(scheme, address, host, port) for host, port in address.hosts),
        use_ssl=address.tls.for_redis() if address.tls else None,
        redis=address,
    )


def _kombu_url(scheme: str, address: RedisAddress, host: str, port: int) -> str:
    """Return one URL with its credentials: kombu forgets those of the first when it fails over to the next."""
    user, password = (quote(part or "", safe="") for part in (address.username, address.password))
    who = f"{user}:{password}@" if user or password else ""
    return f"{scheme}://{who}{f'[{host}]' if ':' in host else host}:{port}/{address.database}"


def _rabbitmq(scheme: str, urls: list[str]) -> BrokerAddress:
    queries = [_query_of_node(scheme, url) for url in urls]
    said = [{name: value for name, value in query.items() if name in TLS_PARAMETERS} for query in queries]
    tls = next(filter(None, said), {})
    if any(each not in ({}, tls) for each in said):
        raise ValueError("must say the same about certificates in each URL, or in one of them")
    return BrokerAddress(
        url=";".join(map(_without_tls, urls)),
        use_ssl=TlsOptions.parse(tls).for_amqp() if scheme == "amqps" else None,
        nodes=len(urls),
    )


def _query_of_node(scheme: str, url: str) -> dict[str, str]:
    try:
        parts = urlsplit(url)
        sound = parts.scheme == scheme and parts.hostname and parts.port != 0 and not parts.fragment
        query = dict(parse_qsl(parts.query))
    except ValueError:
        sound, query = False, {}
    if not sound:
        form = f"{scheme}://user:password@host:port/vhost, a ; between several"
        raise ValueError(f"must have a host and a valid port: {form}")
    if unknown := query.keys() - _AMQP_PARAMETERS:
        raise ValueError(f"has unknown parameters: {', '.join(sorted(unknown))}")
    return query


def _without_tls(url: str) -> str:
    """Remove redis-py's parameters, which kombu would pass to py-amqp. The path is kept: // is a vhost."""
    base, _, query = url.partition("?")
    kept = urlencode([(name, value) for name, value in parse_qsl(query) if name not in TLS_PARAMETERS])
    return f"{base}?{kept}" if kept else base
