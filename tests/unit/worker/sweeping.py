"""A sweep over in-memory stores: what it publishes arrives in the queue of jobs that a test plays the workers of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.fakes.clock import ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.fakes.stores import InMemoryJobStore
from tests.fakes.upkeep import InMemoryUpkeepStore
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn
from worker.lifecycle.sweeper import Chore, Sweeper, SweepLimits

GRACE_S = SweepLimits().grace_s
PATIENCE_S = SweepLimits().patience_s


@dataclass(frozen=True)
class TurnsAsJobs:
    """TurnQueue. A turn arrives as the job that is next then, a mark never."""

    queue: HoldingJobQueue
    jobs: InMemoryJobStore

    def publish_turn(self, turn: AccountTurn) -> None:
        job = self.jobs.next_due(turn.account_id, turn.line)
        if job is not None:
            self.queue.publish(job)

    def publish_start(self, sync_id: str) -> None:
        sync = self.jobs.find(sync_id)
        if sync is not None:
            self.queue.publish(sync)

    def is_empty(self, line: Line) -> bool:  # noqa: ARG002 - one queue for all lines
        return self.queue.length() == 0

    def publish_mark(self, line: Line, sent_at: datetime) -> None: ...


class Sweeps:
    """A sweeper of a deployment, and the time that it takes to find out that a message was lost."""

    def __init__(
        self,
        *,
        jobs: InMemoryJobStore,
        queue: HoldingJobQueue,
        clock: ManualClock,
        duties: Sequence[Chore] = (),
        chores: Sequence[Chore] = (),
    ) -> None:
        self._clock = clock
        upkeep = InMemoryUpkeepStore(clock)
        self.sweeper = Sweeper(
            jobs=jobs,
            queue=TurnsAsJobs(queue, jobs),
            upkeep=upkeep,
            duties=duties,
            chores=chores,
            monotonic=lambda: clock().timestamp(),
        )

    def sweep(self) -> int:
        """Sweep once."""
        return self.sweeper.sweep()

    def find_lost(self) -> int:
        """Sweep until lost messages are noticed."""
        self._clock.advance(PATIENCE_S + 1)
        found = self.sweep()
        self._clock.advance(GRACE_S)
        return found + self.sweep()
