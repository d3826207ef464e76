"""BeatScheduler: it sends tasks that would find work; without a MongoDB to ask, all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Queue

from tests.fakes.due_work import ToldDueWork
from worker.app import DISPATCH, SWEEP
from worker.beat.gate import DueKind, PeriodicGate
from worker.beat.scheduler import BeatScheduler

QUEUE = "upkeep"


class Beat:
    """A scheduler on a broker in memory."""

    def __init__(self, store: ToldDueWork | None) -> None:
        app = Celery("test", broker="memory://", set_as_current=False)
        app.conf.task_queues = [Queue(QUEUE)]
        app.conf.task_default_queue = QUEUE
        app.conf.result_expires = None
        app.conf.beat_schedule = {
            name: {"task": task, "schedule": 2.0, "options": {"retry": False}}
            for name, task in (("sweep", SWEEP), ("dispatch", DISPATCH), ("another", "another"))
        }
        self._app: Any = app
        self.scheduler = BeatScheduler(app)
        self.at = 1000.0
        if store is not None:
            self.scheduler._gate = PeriodicGate(store, steady=lambda: self.at)  # noqa: SLF001 - in place of a MongoDB

    def sent(self) -> set[str]:
        """Let each task be due, 2 s later by the gate's clock, and return those that were sent."""
        self.at += 2
        for entry in self.scheduler.schedule.values():
            self.scheduler.apply_entry(entry, producer=self.scheduler.producer)
        with self._app.connection() as connection:
            return set(self._taken(connection))

    def _taken(self, connection: Connection) -> Iterator[str]:
        with connection.SimpleQueue(self._app.amqp.queues[QUEUE]) as waiting:
            for _ in range(len(waiting)):
                message = waiting.get()
                message.ack()
                yield message.headers["task"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONGODB_URI", raising=False)


def test_it_sends_everything_where_no_mongodb_is_set() -> None:
    beat = Beat(None)
    assert beat.sent() == {SWEEP, DISPATCH, "another"}
    assert beat.sent() == {SWEEP, DISPATCH, "another"}


def test_it_sends_what_would_find_something() -> None:
    store = ToldDueWork()
    beat = Beat(store)
    assert beat.sent() == {SWEEP, DISPATCH, "another"}
    assert beat.sent() == {"another"}

    store.due_s = {DueKind.DELIVERY: 1.0}
    assert beat.sent() == {SWEEP, "another"}

    store.due_s = {DueKind.SCHEDULE: 1.0}
    assert beat.sent() == {DISPATCH, "another"}


def test_it_looks_where_mongodb_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1")
    scheduler = Beat(None).scheduler
    assert scheduler._gate is not None  # noqa: SLF001
    scheduler.close()


def test_a_wrong_address_of_mongodb_ends_beat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONGODB_URI", "postgres://host")
    with pytest.raises(SystemExit, match="2"):
        Beat(None)
    assert "MONGODB_URI" in capsys.readouterr().err
