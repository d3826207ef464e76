"""Contact: whether Redis answers, as this process sees it, so that nobody waits for one that is known to be away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from redis import RedisError

_log = structlog.get_logger()

_ASK_AGAIN_S = 1.0
_NEVER = float("-inf")

T = TypeVar("T")


class Contact:
    """Passes questions on to Redis; while it is away, one a second, of one thread. Instants are of the given clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._ask_again_at = _NEVER
        self.last_answer_at = _NEVER  # before the absence, while there is one
        self.last_failure_at = _NEVER

    @property
    def away_since(self) -> float | None:
        """When the first question was not answered; None: Redis is there."""
        return self._away_since

    def ask(self, question: Callable[[], T]) -> T | None:
        """Give the answer; None: Redis is away, or was a moment ago. That it is back is for `restore` to say."""
        if not self._may_ask():
            return None
        try:
            answer = question()
        except RedisError as error:
            self._lose(error)
            return None
        if self._away_since is None:
            self.last_answer_at = self._clock()
        return answer

    def restore(self) -> None:
        """Ask every question again: what there is to tell Redis after its absence has been told."""
        with self._lock:
            was_away, self._away_since = self._away_since is not None, None
            self.last_answer_at = self._clock()
        if was_away:
            _log.info("limiter_redis_back")

    def _may_ask(self) -> bool:
        with self._lock:
            if self._away_since is None:
                return True
            if self._clock() < self._ask_again_at:
                return False
            self._ask_again_at = self._clock() + _ASK_AGAIN_S
            return True

    def _lose(self, error: RedisError) -> None:
        with self._lock:
            at = self._clock()
            was_there = self._away_since is None
            if was_there:
                self._away_since = at
            self.last_failure_at = at
            self._ask_again_at = at + _ASK_AGAIN_S
        if was_there:
            _log.warning("limiter_redis_away", error=type(error).__name__)
