"""BeatScheduler: sends only periodic tasks that have work to do, and reconnects after any failure."""

from __future__ import annotations

from typing import Any, cast

import structlog
from celery.beat import Scheduler

from worker.app import DISPATCH, SWEEP
from worker.beat.gate import PeriodicGate
from worker.beat.mongo import MongoDueWork
from worker.messaging.celery_queues import NOT_REACHED
from worker.mongo.database import MongoDatabase, connect
from worker.settings import BeatSettings, load

_log = structlog.get_logger()

_TRY_AGAIN_S = 2.0
_LOOK_S = 1.0  # for MongoDB's answer, which beat waits for


class BeatScheduler(Scheduler):
    """Celery's scheduler without a file. Celery would keep its one connection after a password was refused.

    What one tick did not send, a later one does: each periodic task may be early, late or doubled. So one that would
    find nothing is not sent at all, where MongoDB can be asked.
    """

    _gate: PeriodicGate | None = None
    _database: MongoDatabase | None = None

    def setup_schedule(self) -> None:
        """Read the schedule and MongoDB's address; wrong settings end the process with one line and status 2."""
        cast("Any", super()).setup_schedule()
        settings = load(BeatSettings)
        if settings.mongodb_uri is not None:
            uri = settings.mongodb_uri.get_secret_value()
            self._database = connect(uri, database=settings.mongodb_database, timeout_s=_LOOK_S)
            self._gate = PeriodicGate(MongoDueWork(self._database))

    def apply_entry(self, entry: Any, producer: Any = None) -> None:  # noqa: ANN401 - Celery's signature
        """Send a task that is due by the clock, if it has work to do."""
        if self._is_needed(entry.task):
            cast("Any", super()).apply_entry(entry, producer=producer)

    def _is_needed(self, task: str) -> bool:
        if self._gate is None or task not in {SWEEP, DISPATCH}:
            return True
        return self._gate.needs_sweep() if task == SWEEP else self._gate.needs_dispatch()

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ANN401 - Celery's signature
        """Send what is due, and return the seconds until the next task is."""
        try:
            return float(cast("Any", super()).tick(*args, **kwargs))
        except NOT_REACHED as error:
            _log.warning("beat_could_not_connect", error=type(error).__name__)
            self._forget_connection()
            self.__dict__["_heap"] = None  # the task at hand was popped from it: rebuild it
            return _TRY_AGAIN_S

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Celery's signature
        """Send a task; after a failure the next one gets a new connection."""
        try:
            return cast("Any", super()).apply_async(*args, **kwargs)
        except Exception:
            self._forget_connection()
            raise

    def close(self) -> None:
        if self._database is not None:
            self._database.client.close()
        cast("Any", super()).close()

    def _forget_connection(self) -> None:
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect()
