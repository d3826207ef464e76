"""URLs of Redis: of one server, or of Sentinels, which know which of several servers is the master."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from worker.broker.tls_options import TLS_PARAMETERS, TlsOptions

REDIS_SCHEMES = ("redis", "rediss")
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")

_REDIS_PORT, _SENTINEL_PORT = 6379, 26379
_SENTINEL_PARAMETERS = TLS_PARAMETERS | {"sentinel_username", "sentinel_password"}
_SENTINEL_FORM = "redis+sentinel://[:password@]host[:port][,…]/master[/database]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """The address of a Redis. With a `master`, `hosts` are Sentinels, which are asked for it; otherwise one server.

    `parameters` are the URL's parameters for redis-py, such as `socket_timeout`.
    """

    hosts: tuple[tuple[str, int], ...]
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    master: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: TlsOptions | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_redis_url(url: str) -> RedisAddress:
    """Parse a URL. Raises ValueError, whose text contains no part that may be secret."""
    scheme, _, rest = url.partition("://")
    if scheme in REDIS_SCHEMES:
        return _one_server(scheme, rest)
    if scheme in SENTINEL_SCHEMES:
        return _sentinels(scheme, rest)
    if scheme in {"sentinel", "redis-sentinel"}:
        raise ValueError(f"Sentinel is spelled {_SENTINEL_FORM} here")
    starts = " or ".join(f"{scheme}://" for scheme in (*REDIS_SCHEMES, *SENTINEL_SCHEMES))
    raise ValueError(f"must be a URL that starts with {starts}, with a host and a valid port")


def without_tls(url: str) -> str:
    """Return the URL without its parameters about certificates."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in TLS_PARAMETERS]
    return parts._replace(query=urlencode(kept)).geturl()


class _Parts(NamedTuple):
    username: str | None
    password: str | None
    hosts: tuple[tuple[str, int], ...]
    path: str
    query: dict[str, str]


def _one_server(scheme: str, rest: str) -> RedisAddress:
    parts = _split(rest, port=_REDIS_PORT)
    if len(parts.hosts) > 1 or ";" in rest:
        raise ValueError(f"several servers need Sentinel: {_SENTINEL_FORM}")
    return RedisAddress(
        hosts=parts.hosts,
        database=_database(parts.path),
        username=parts.username,
        password=parts.password,
        tls=TlsOptions.parse(parts.query) if scheme == "rediss" else None,
        parameters={name: value for name, value in parts.query.items() if name not in TLS_PARAMETERS},
    )


def _sentinels(scheme: str, rest: str) -> RedisAddress:
    parts = _split(rest, port=_SENTINEL_PORT)
    master, _, database = parts.path.partition("/")
    if not master:
        raise ValueError(f"must name the master: {_SENTINEL_FORM}")
    if unknown := parts.query.keys() - _SENTINEL_PARAMETERS:
        raise ValueError(f"has unknown parameters: {', '.join(sorted(unknown))}")
    return RedisAddress(
        hosts=parts.hosts,
        database=_database(database),
        username=parts.username,
        password=parts.password,
        master=unquote(master),
        sentinel_username=parts.query.get("sentinel_username"),
        sentinel_password=parts.query.get("sentinel_password"),
        tls=TlsOptions.parse(parts.query) if scheme == "rediss+sentinel" else None,
    )


def _split(rest: str, *, port: int) -> _Parts:
    """Split what follows `scheme://`; `port` is that of a host without one."""
    try:
        parts = urlsplit(f"//{rest}")
        user, _, hosts = parts.netloc.rpartition("@")
        pairs = tuple(_host(host, port=port) for host in hosts.split(","))
    except ValueError:
        raise ValueError("must have a host and a valid port") from None
    if parts.fragment:
        raise ValueError("must have no #; in a password it is %23")
    name, _, password = user.partition(":")
    return _Parts(
        username=unquote(name) or None,
        password=unquote(password) or None,
        hosts=pairs,
        path=parts.path.strip("/"),
        query=dict(parse_qsl(parts.query)),
    )


def _host(text: str, *, port: int) -> tuple[str, int]:
    """Parse `host[:port]`. Raises ValueError."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port == 0:
        raise ValueError
    return parts.hostname, parts.port or port


def _database(path: str) -> int:
    if not (path or "0").isascii() or not (path or "0").isdigit():
        raise ValueError("must end in the number of a database, or in nothing after the host")
    return int(path or "0")
