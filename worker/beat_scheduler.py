"""BeatScheduler: beat goes on with a new connection, whatever its broker refused."""

from __future__ import annotations

from typing import Any, cast

import structlog
from celery.beat import Scheduler

from worker.job_queue import NOT_REACHED

_log = structlog.get_logger()

_TRY_AGAIN_S = 2.0


class BeatScheduler(Scheduler):
    """Celery's, which keeps no file. It has one connection, and would keep it where a password or a right was refused.

    What one tick did not send, a later one does: none of the periodic tasks minds being early, late or doubled.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ANN401 - Celery's signature
        """Send what is due, and return for how many seconds nothing will be."""
        try:
            return float(cast("Any", super()).tick(*args, **kwargs))
        except NOT_REACHED as error:
            _log.warning("beat_could_not_connect", error=type(error).__name__)
            self._forget_connection()
            self.__dict__["_heap"] = None  # the task in hand was taken out of it: it is built anew
            return _TRY_AGAIN_S

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Celery's signature
        """Send a task. After a failure the next one gets a new connection."""
        try:
            return cast("Any", super()).apply_async(*args, **kwargs)
        except Exception:
            self._forget_connection()
            raise

    def _forget_connection(self) -> None:
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect()
