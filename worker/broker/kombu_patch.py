"""Patches of kombu, without which a worker dies when Redis restarts, or a queue's list holds something else.

See decision 0003.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, cast

import structlog
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

_BROKEN = ("5.7.0",)

_log = structlog.get_logger()


def apply() -> None:
    """Patch the installed version. Idempotent."""
    _outlive_restarts()
    if not getattr(kombu_redis.Channel, "is_repaired", False):
        channel = cast("Any", kombu_redis.Channel)
        channel._brpop_read = _drop_what_is_no_message(channel._brpop_read)  # noqa: SLF001 - there is no public hook
        channel.is_repaired = True


def _outlive_restarts() -> None:
    """Patch the versions that are known to be broken, once, and no others.

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


def _drop_what_is_no_message(read: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the read of a queue's list: an element that is no message is dropped, as if the list had been empty.

    Another program must have put it there. Even a dropped message of our own would do no harm: it only names a job that
    is due, and the sweeper publishes it again.
    """

    def brpop_read(self: Any, **options: Any) -> Any:  # noqa: ANN401 - kombu's signature
        parse = self.client.parse_response

        def parse_message(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - redis-py's signature
            found = parse(*args, **kwargs)
            if found and not _is_message(found[1]):
                _log.error("queue_element_dropped", reason="it is no message", bytes=len(found[1]))
                return None
            return found

        self.client.parse_response = parse_message
        try:
            return read(self, **options)
        finally:
            del self.client.parse_response

    return brpop_read


def _is_message(element: bytes | str) -> bool:
    """Check what kombu reads from a message without a check of its own."""
    try:
        message = json.loads(element)
        properties, headers = message["properties"], message.get("headers") or {}
        delivery = properties["delivery_info"]
        texts = (message["body"], properties["delivery_tag"], delivery["exchange"], delivery["routing_key"])
        if properties.get("body_encoding") == "base64":
            base64.b64decode(message["body"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return all(isinstance(text, str) for text in texts) and isinstance(headers, dict)


def _is_lost(channel: Any) -> bool:  # noqa: ANN401 - kombu is not typed
    transport = getattr(channel, "connection", None)
    return transport is None or getattr(transport, "client", None) is None


def _skip_when_lost(restore: Callable[..., Any]) -> Callable[..., Any]:
    """Leave unacknowledged messages in Redis, where the visibility timeout restores them."""

    def restore_unacked(self: Any, client: Any = None) -> Any:  # noqa: ANN401 - kombu's signature
        if _is_lost(self.channel):
            self._delivered.clear()
            return []
        return restore(self, client)

    return restore_unacked


def _refuse_when_lost(method: Callable[..., Any]) -> Callable[..., Any]:
    """Raise what a lost connection does: Celery logs it and continues."""

    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - kombu's signature
        if _is_lost(self.channel):
            raise RedisConnectionError("the channel of a lost connection")
        return method(self, *args, **kwargs)

    return guarded
