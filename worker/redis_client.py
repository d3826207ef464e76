"""The client of Redis for those who can do without an answer."""

from __future__ import annotations

from redis import ConnectionError as RedisConnectionError
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_TIMEOUT_S = 0.5


def impatient_redis(url: str) -> Redis:
    """Prepare a client that answers or fails soon; nothing is connected before it is used.

    A connection that was cut while it was idle is opened again at once. The library's own retries take seconds.
    """
    return Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), retries=1, supported_errors=(RedisConnectionError,)),
    )
