"""A repair of kombu 5.7.0, without which a worker dies when Redis restarts while a task runs; see decision 0003."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, cast

import structlog
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

_BROKEN = ("5.7.0",)

_log = structlog.get_logger()


def apply() -> None:
    """Repair the versions that are known to be broken, once; leave every other one alone.

    When the connection is lost, Celery 5.7.0 collects the channel and then closes it again; the second close asks a
    transport without a client for its parameters, and the AttributeError ends the worker's main process.
    """
    installed, qos = version("kombu"), cast("Any", kombu_redis.QoS)
    if installed not in _BROKEN or getattr(qos, "is_repaired", False):
        return
    qos.restore_unacked = _skip_when_lost(qos.restore_unacked)
    qos.ack = _refuse_when_lost(qos.ack)
    qos.reject = _refuse_when_lost(qos.reject)
    qos.is_repaired = True
    _log.info("kombu_repaired", version=installed)


def _is_lost(channel: Any) -> bool:  # noqa: ANN401 - kombu is not typed
    transport = getattr(channel, "connection", None)
    return transport is None or getattr(transport, "client", None) is None


def _skip_when_lost(restore: Callable[..., Any]) -> Callable[..., Any]:
    """Leave unacknowledged messages where they are, in Redis: the visibility timeout restores them."""

    def restore_unacked(self: Any, client: Any = None) -> Any:  # noqa: ANN401 - kombu's signature
        if _is_lost(self.channel):
            self._delivered.clear()
            return []
        return restore(self, client)

    return restore_unacked


def _refuse_when_lost(method: Callable[..., Any]) -> Callable[..., Any]:
    """Answer as a lost connection does: Celery logs it and goes on."""

    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - kombu's signature
        if _is_lost(self.channel):
            raise RedisConnectionError("the channel of a lost connection")
        return method(self, *args, **kwargs)

    return guarded
