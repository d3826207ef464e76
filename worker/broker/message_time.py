"""Makes kombu date unacknowledged messages by Redis' clock, in every process.

kombu stores the process' time with such a message, and any worker requeues it when that is long ago by its own clock. A
worker whose clock is an hour ahead would requeue all messages of all others, again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from kombu.transport import redis as kombu_redis
from redis.exceptions import RedisError

from worker.clock import steady_s

_LONGEST_ANSWER_S = 1.0  # a slower answer is too imprecise


class BrokerTime:
    """Seconds since 1970 by Redis' clock: its last answer, plus the time since then by a monotonic clock."""

    def __init__(self, *, steady: Callable[[], float] = steady_s, own: Callable[[], float] = time.time) -> None:
        self._steady = steady
        self._own = own
        self._ahead_s: float | None = None

    def __call__(self) -> float:
        """Return the current instant, by the machine's clock if Redis has never answered."""
        return self._own() if self._ahead_s is None else self._steady() + self._ahead_s

    @property
    def is_known(self) -> bool:
        """Whether Redis has ever answered."""
        return self._ahead_s is not None

    def ask(self, client: Any) -> None:  # noqa: ANN401 - kombu's client, which is not typed
        """Ask Redis; without an answer the last one stays."""
        asked_at = self._steady()
        try:
            seconds, microseconds = client.time()
        except RedisError:
            return
        answered_at = self._steady()
        if answered_at - asked_at <= _LONGEST_ANSWER_S:
            self._ahead_s = seconds + microseconds / 1e6 - (asked_at + answered_at) / 2


def install(broker_time: BrokerTime) -> None:
    """Patch kombu's Redis transport to use this clock, and to ask Redis whenever it restores messages. Idempotent."""
    qos = cast("Any", kombu_redis.QoS)
    if getattr(qos, "tells_broker_time", False):
        return
    qos.append = _knowing(qos.append, broker_time)
    qos.restore_visible = _asking(qos.restore_visible, broker_time)
    cast("Any", kombu_redis).time = broker_time
    qos.tells_broker_time = True


def _knowing(append: Callable[..., Any], broker_time: BrokerTime) -> Callable[..., Any]:
    def append_in_time(self: Any, message: Any, delivery_tag: Any) -> Any:  # noqa: ANN401 - kombu's signature
        if not broker_time.is_known:
            with self.channel.conn_or_acquire() as client:
                broker_time.ask(client)
        return append(self, message, delivery_tag)

    return append_in_time


def _asking(restore: Callable[..., Any], broker_time: BrokerTime) -> Callable[..., Any]:
    def restore_in_time(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - kombu's signature
        with self.channel.conn_or_acquire() as client:
            broker_time.ask(client)
        return restore(self, *args, **kwargs)

    return restore_in_time
