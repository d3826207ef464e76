"""Dispatcher: starts the syncs of schedules whose time has come."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from worker.errors import BrokerUnavailableError, StoreUnavailableError, UnavailableError
from worker.jobs.interfaces import JobStore
from worker.jobs.job import Job
from worker.jobs.request import SyncRequest
from worker.jobs.sync import new_sync
from worker.lifecycle.caps import StoredBytesCap
from worker.schedules.interfaces import ConnectionObstacles, DueSchedules, ScheduleStore, SyncQueue
from worker.schedules.schedule import RunCounts, Schedule, Turn

_log = structlog.get_logger()
_AT_ONCE = 20  # syncs in a message


class Dispatcher:
    """Takes due schedules by the batch, stores a sync for each, moves the schedules on, and publishes all at the end.

    In that order: who is killed in between has the next one repeat it, and a sync that is there is not stored again;
    one that is not published is the sweeper's. Any number may run at once, one in a process, and as often as may be.
    The messages come last because what they start takes the processor: of thousands of schedules the last one waits for
    little more than as many inserts.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        schedules: ScheduleStore,
        jobs: JobStore,
        queue: SyncQueue,
        connections: ConnectionObstacles,
        storage: StoredBytesCap | None = None,
        batch: int = 500,
        lease_s: float = 10.0,
        look_again_s: float = 5.0,
    ) -> None:
        self._schedules = schedules
        self._jobs = jobs
        self._queue = queue
        self._connections = connections
        self._storage = storage
        self._batch = batch
        self._lease_s = lease_s
        self._look_again_s = look_again_s
        self._at_work = threading.Lock()

    def dispatch(self) -> RunCounts:
        """Start what is due, and count; nothing while another thread is at it.

        Raises StoreUnavailableError: a later dispatch does the rest. With the broker away the syncs are stored all the
        same: the sweeper publishes them.
        """
        if not self._at_work.acquire(blocking=False):
            return RunCounts()  # beat enqueues more often than a dispatch of thousands takes
        try:
            return self._dispatch()
        finally:
            self._at_work.release()

    def _dispatch(self) -> RunCounts:
        counts, syncs = RunCounts(), list[Job]()
        while (taken := self._schedules.take_due(limit=self._batch, lease_s=self._lease_s)).schedules:
            for move in self._move_on(taken, taken.schedules):
                counts = counts.after(move.before, move.turn)
                syncs += [move.sync] if move.sync is not None else []
        self._ring_for(syncs)
        self._warn_of_storage(syncs)
        return counts

    def _move_on(self, taken: DueSchedules, schedules: Sequence[Schedule]) -> list[_Move]:
        """Store the syncs of these and move them on; what fails with many is done by halves, what fails alone is left.

        One that is left is due again once nobody has it any more.
        """
        try:
            return self._move_together(taken, schedules)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - told below, of the one it is about
            if len(schedules) == 1:
                _log.exception(
                    "schedule_not_dispatched",
                    schedule_id=schedules[0].schedule_id,
                    account_id=schedules[0].account_id,
                )
                return []
        half = len(schedules) // 2
        return self._move_on(taken, schedules[:half]) + self._move_on(taken, schedules[half:])

    def _move_together(self, taken: DueSchedules, schedules: Sequence[Schedule]) -> list[_Move]:
        moves = self._moves(schedules, at=taken.at)
        self._jobs.add_all([move.sync for move in moves if move.sync is not None])
        self._schedules.give_back(taken, [move.turn.schedule for move in moves], look_again_s=self._look_again_s)
        for move in moves:
            move.tell()
        return moves

    def _moves(self, schedules: Sequence[Schedule], *, at: datetime) -> list[_Move]:
        busy = self._jobs.unfinished_among([each.last_job_id for each in schedules if each.last_job_id is not None])
        stopped = self._connections.obstacles([(each.account_id, each.owner) for each in schedules])
        return [_move(each, busy, stopped, at=at) for each in schedules]

    def _warn_of_storage(self, syncs: Sequence[Job]) -> None:
        """Log accounts that have too much stored: runs are never refused for it, so nobody else would notice."""
        if self._storage is None:
            return
        account_ids = list(dict.fromkeys(sync.account_id for sync in syncs))
        with suppress(StoreUnavailableError):
            for first in range(0, len(account_ids), self._batch):
                self._storage.look(account_ids[first : first + self._batch])

    def _ring_for(self, syncs: Sequence[Job]) -> None:
        """Publish stored syncs, by the dozen; where the broker is away the sweeper does."""
        for first in range(0, len(syncs), _AT_ONCE):
            try:
                self._queue.publish(syncs[first : first + _AT_ONCE])
            except BrokerUnavailableError:
                self._jobs.mark_unpublished(syncs[first:])
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """A schedule's turn: what it was before, what came of it, and the sync, if there is one. `obstacle`: why not."""

    before: Schedule
    turn: Turn
    sync: Job | None
    obstacle: str | None

    def tell(self) -> None:
        """Log runs that nothing came of."""
        counts = RunCounts().after(self.before, self.turn)
        if counts.skipped or counts.missed:
            _log.warning(
                "runs_not_started",
                account_id=self.before.account_id,
                missed=counts.missed,
                skipped=counts.skipped,
                reason=self.obstacle,
            )


def _move(schedule: Schedule, busy: Collection[str], stopped: Mapping[tuple[str, str], str], *, at: datetime) -> _Move:
    obstacle = stopped.get((schedule.account_id, schedule.owner))
    turn = schedule.take_turn(at=at, is_busy=schedule.last_job_id in busy, is_stopped=obstacle is not None)
    return _Move(before=schedule, turn=turn, sync=_sync(turn, at=at), obstacle=obstacle)


def _sync(turn: Turn, *, at: datetime) -> Job | None:
    """Write down the sync that a turn starts, not stored yet."""
    if turn.run_for is None:
        return None
    schedule = turn.schedule
    request = SyncRequest(
        types=schedule.types, mode=schedule.mode, schedule_id=schedule.schedule_id, scheduled_for=turn.run_for
    )
    return new_sync(
        schedule.run_id(turn.run_for),
        account_id=schedule.account_id,
        owner=schedule.owner,
        request=request,
        at=at,
        webhook=schedule.webhook,
    )
