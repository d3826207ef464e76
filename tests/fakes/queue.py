"""Queues that keep what was published until a test takes it, and may be away."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from datetime import datetime

from tests.patience import PATIENCE_S
from worker.errors import BrokerUnavailableError
from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn, StoredJobs


class HoldingJobQueue:
    """WatchedJobQueue. `published` is every publication; `take` gives each once, oldest first."""

    def __init__(self) -> None:
        self.is_away = False
        self.published: list[Job] = []
        self._held: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def publish(self, job: Job) -> None:
        if self.is_away:
            raise BrokerUnavailableError
        self.published.append(job)
        self._held.put(job)

    def length(self) -> int:
        if self.is_away:
            raise BrokerUnavailableError
        return self._held.qsize()

    def take(self, *, within_s: float = PATIENCE_S) -> Job:
        """Return the oldest job that is held, waiting for one. Raises queue.Empty when none comes in time."""
        return self._held.get(timeout=within_s)


class HoldingGroupQueue:
    """GroupQueue. It holds the jobs of a group like others."""

    def __init__(self, queue: HoldingJobQueue) -> None:
        self._queue = queue

    def publish(self, stored: StoredJobs) -> None:
        for job in stored.jobs:
            self._queue.publish(job)


class HoldingTurnQueue:
    """TurnQueue. What was published, each kind by itself; it gives up after so many of them, where that is said."""

    def __init__(self) -> None:
        self.is_away = False
        self.takes: int | None = None
        self.empty: set[Line] = set()
        self.turns: list[AccountTurn] = []
        self.starts: list[str] = []
        self.marks: list[tuple[Line, datetime]] = []

    def publish_turn(self, turn: AccountTurn) -> None:
        self._answer()
        self.turns.append(turn)

    def publish_start(self, sync_id: str) -> None:
        self._answer()
        self.starts.append(sync_id)

    def is_empty(self, line: Line) -> bool:
        self._answer()
        return line in self.empty

    def publish_mark(self, line: Line, sent_at: datetime) -> None:
        self._answer()
        self.marks.append((line, sent_at))

    def _answer(self) -> None:
        if self.is_away or (self.takes is not None and len(self.turns) >= self.takes):
            raise BrokerUnavailableError


class HoldingDeliveryQueue:
    """DeliveryQueue. `published` is every publication."""

    def __init__(self) -> None:
        self.is_away = False
        self.published: list[str] = []

    def publish(self, job_id: str) -> None:
        if self.is_away:
            raise BrokerUnavailableError
        self.published.append(job_id)


class HoldingSyncQueue:
    """SyncQueue. `published` holds the ids of each message."""

    def __init__(self) -> None:
        self.is_away = False
        self.published: list[list[Job]] = []

    def publish(self, syncs: Sequence[Job]) -> None:
        if self.is_away:
            raise BrokerUnavailableError
        self.published.append(list(syncs))
