"""RedisCircuitBreaker: stops calls to a Redis that does not answer, so that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from redis import RedisError

_log = structlog.get_logger()

_PROBE_EVERY_S = 1.0
_FEWEST_PROBES = 3  # a second apart: a process that was suspended in between knows nothing of that time
_NEVER = float("-inf")

T = TypeVar("T")


class RedisCircuitBreaker:
    """Passes calls to Redis; while it is away, one probe a second, by one thread. Instants are of the given clock.

    What is decided without Redis goes through `call_degraded`, and so never while a probe is under way: Redis may be
    back, and what the probe reports of this process must be complete.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._next_probe_at = _NEVER
        self._is_probing = False
        self._failed_probes = 0
        self.last_answer_at = _NEVER  # before the failure, while Redis is away
        self.last_failure_at = _NEVER

    @property
    def away_since(self) -> float | None:
        """When the first call failed; None: Redis answers."""
        return self._away_since

    @property
    def is_surely_away(self) -> bool:
        """Whether probes have failed often enough to conclude that Redis answers no other process either."""
        return self._away_since is not None and self._failed_probes >= _FEWEST_PROBES

    def call(self, command: Callable[[], T]) -> T | None:
        """Return the answer; None: Redis is away, or was a moment ago."""
        return self._try(command) if self._away_since is None else None

    def probe(self, command: Callable[[], T]) -> T | None:
        """Do as `call` does with a command that reports to Redis all that happened while it was away.

        Once a second it is sent to a Redis that was away; an answer closes the breaker.
        """
        if not self._begin_probe():
            return self.call(command)
        try:
            answer = self._try(command)
            if answer is not None:
                self._close()
            else:
                self._failed_probes += 1
            return answer
        finally:
            self._is_probing = False

    def call_degraded(self, decision: Callable[[float], T]) -> T | None:
        """Decide without Redis, given since when it is away; None: it may be back, so ask again in a moment."""
        with self._lock:
            if self._away_since is None or self._is_probing:
                return None
            return decision(self._away_since)

    def _try(self, command: Callable[[], T]) -> T | None:
        try:
            answer = command()
        except RedisError as error:
            self._open(error)
            return None
        if self._away_since is None:
            self.last_answer_at = self._clock()
        return answer

    def _begin_probe(self) -> bool:
        with self._lock:
            if self._away_since is None or self._is_probing or self._clock() < self._next_probe_at:
                return False
            self._is_probing = True
            return True

    def _close(self) -> None:
        with self._lock:
            self._away_since, self._failed_probes = None, 0
            self.last_answer_at = self._clock()
        _log.info("limiter_redis_back")

    def _open(self, error: RedisError) -> None:
        with self._lock:
            at = self._clock()
            is_first = self._away_since is None
            if is_first:
                self._away_since = at
            self.last_failure_at = at
            self._next_probe_at = at + _PROBE_EVERY_S
        if is_first:
            _log.warning("limiter_redis_away", error=type(error).__name__)
