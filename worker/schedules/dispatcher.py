"""Dispatcher: starts the syncs of schedules that are due."""

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
_MOST_A_MESSAGE = 20  # syncs


class Dispatcher:
    """Claims due schedules in batches, stores a sync for each, advances the schedules, and publishes all at the end.

    In that order, so that a crash loses nothing: the next dispatch repeats it, a sync that exists is not stored again,
    and one that was not published is published by the sweeper. Any number of processes may do so at once.
    The messages come last because the work they start competes for the processor: of thousands of schedules the last
    one waits for little more than as many inserts.
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
        self._running = threading.Lock()

    def dispatch(self) -> RunCounts:
        """Start what is due and count the runs; does nothing while another thread of this process does it.

        Raises StoreUnavailableError: a later dispatch does the rest. While the broker is away syncs are stored all the
        same, and the sweeper publishes them.
        """
        if not self._running.acquire(blocking=False):
            return RunCounts()  # beat enqueues more often than a dispatch of thousands takes
        try:
            return self._dispatch()
        finally:
            self._running.release()

    def _dispatch(self) -> RunCounts:
        counts, syncs = RunCounts(), list[Job]()
        while (taken := self._schedules.take_due(limit=self._batch, lease_s=self._lease_s)).schedules:
            for move in self._advance(taken, taken.schedules):
                counts = counts.after(move.before, move.turn)
                syncs += [move.sync] if move.sync is not None else []
        self._publish(syncs)
        self._warn_of_storage(syncs)
        return counts

    def _advance(self, taken: DueSchedules, schedules: Sequence[Schedule]) -> list[_Move]:
        """Store the syncs of these and advance them; bisect a batch that fails, to skip only the schedule at fault.

        A skipped one is due again when its claim expires.
        """
        try:
            return self._advance_together(taken, schedules)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - logged below for the schedule at fault
            if len(schedules) == 1:
                _log.exception(
                    "schedule_not_dispatched",
                    schedule_id=schedules[0].schedule_id,
                    account_id=schedules[0].account_id,
                )
                return []
        half = len(schedules) // 2
        return self._advance(taken, schedules[:half]) + self._advance(taken, schedules[half:])

    def _advance_together(self, taken: DueSchedules, schedules: Sequence[Schedule]) -> list[_Move]:
        moves = self._moves(schedules, at=taken.at)
        self._jobs.add_all([move.sync for move in moves if move.sync is not None])
        self._schedules.release(taken, [move.turn.schedule for move in moves], look_again_s=self._look_again_s)
        for move in moves:
            move.log_runs_not_started()
        return moves

    def _moves(self, schedules: Sequence[Schedule], *, at: datetime) -> list[_Move]:
        busy = self._jobs.unfinished_among([each.last_job_id for each in schedules if each.last_job_id is not None])
        stopped = self._connections.obstacles([(each.account_id, each.owner) for each in schedules])
        return [_move(each, busy, stopped, at=at) for each in schedules]

    def _warn_of_storage(self, syncs: Sequence[Job]) -> None:
        """Log accounts near or over their storage limit, for which scheduled runs are never refused."""
        if self._storage is None:
            return
        account_ids = list(dict.fromkeys(sync.account_id for sync in syncs))
        with suppress(StoreUnavailableError):
            for first in range(0, len(account_ids), self._batch):
                self._storage.look(account_ids[first : first + self._batch])

    def _publish(self, syncs: Sequence[Job]) -> None:
        """Publish stored syncs in groups; while the broker is away they are marked for the sweeper."""
        for first in range(0, len(syncs), _MOST_A_MESSAGE):
            try:
                self._queue.publish(syncs[first : first + _MOST_A_MESSAGE])
            except BrokerUnavailableError:
                self._jobs.mark_unpublished(syncs[first:])
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """A due schedule before and after, and its sync, if there is one; `obstacle`: why there is none."""

    before: Schedule
    turn: Turn
    sync: Job | None
    obstacle: str | None

    def log_runs_not_started(self) -> None:
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
    if turn.run_for is None:
        return None
    schedule = turn.schedule
    request = SyncRequest(
        types=schedule.types,
        properties=schedule.properties,
        mode=schedule.mode,
        full_every=schedule.full_every,
        schedule_id=schedule.schedule_id,
        scheduled_for=turn.run_for,
    )
    return new_sync(
        schedule.run_id(turn.run_for),
        account_id=schedule.account_id,
        owner=schedule.owner,
        request=request,
        at=at,
        webhook=schedule.webhook,
    )
