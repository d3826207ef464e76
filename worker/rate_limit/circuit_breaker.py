"""RedisCircuitBreaker: whether Redis answers this process, so that nobody waits for one that is known to be away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
from redis import RedisError

_log = structlog.get_logger()

_LOOK_AGAIN_S = 1.0
_FEWEST_LOOKS = 3  # a second apart: a process that was stopped meanwhile knows nothing of that time
_NEVER = float("-inf")

T = TypeVar("T")


class RedisCircuitBreaker:
    """Passes questions on to Redis; while it is away, one a second, of one thread. Instants are of the given clock.

    What is decided without Redis is decided through `alone`, and so never while that one question is under way: Redis
    may be back, and what it is told of this process then has to be all there is to tell.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._look_again_at = _NEVER
        self._is_looking = False
        self._failed_looks = 0
        self.last_answer_at = _NEVER  # before the absence, while there is one
        self.last_failure_at = _NEVER

    @property
    def away_since(self) -> float | None:
        """When the first question was not answered; None: Redis is there."""
        return self._away_since

    @property
    def is_surely_away(self) -> bool:
        """Whether this process has looked often enough to know that nobody else is answered either."""
        return self._away_since is not None and self._failed_looks >= _FEWEST_LOOKS

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer; None: Redis is away, or was a moment ago."""
        return self._put(question) if self._away_since is None else None

    def look(self, question: Callable[[], T]) -> T | None:
        """Return the answer, as `ask` does, to a question that tells Redis all that happened while it was away.

        Once a second it is put to a Redis that was away, and its answer ends the absence.
        """
        if not self._begin_to_look():
            return self.ask(question)
        try:
            answer = self._put(question)
            if answer is not None:
                self._end_absence()
            else:
                self._failed_looks += 1
            return answer
        finally:
            self._is_looking = False

    def alone(self, decision: Callable[[float], T]) -> T | None:
        """Decide without Redis, told since when it is away; None: it may be back, so ask again in a moment."""
        with self._lock:
            if self._away_since is None or self._is_looking:
                return None
            return decision(self._away_since)

    def _put(self, question: Callable[[], T]) -> T | None:
        try:
            answer = question()
        except RedisError as error:
            self._lose(error)
            return None
        if self._away_since is None:
            self.last_answer_at = self._clock()
        return answer

    def _begin_to_look(self) -> bool:
        with self._lock:
            if self._away_since is None or self._is_looking or self._clock() < self._look_again_at:
                return False
            self._is_looking = True
            return True

    def _end_absence(self) -> None:
        with self._lock:
            self._away_since, self._failed_looks = None, 0
            self.last_answer_at = self._clock()
        _log.info("limiter_redis_back")

    def _lose(self, error: RedisError) -> None:
        with self._lock:
            at = self._clock()
            was_there = self._away_since is None
            if was_there:
                self._away_since = at
            self.last_failure_at = at
            self._look_again_at = at + _LOOK_AGAIN_S
        if was_there:
            _log.warning("limiter_redis_away", error=type(error).__name__)
