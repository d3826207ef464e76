"""Dispatcher: starts the syncs of schedules whose time has come."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from worker.errors import BrokerUnavailableError
from worker.interfaces import JobStore
from worker.jobs import Job, SyncRequest
from worker.schedule_interfaces import ConnectionObstacles, ScheduleStore, SyncQueue
from worker.schedules import RunCounts, Schedule, Turn
from worker.syncs import new_sync

_log = structlog.get_logger()
_AT_ONCE = 20  # syncs in a message


class Dispatcher:
    """Takes due schedules by the batch, stores a sync for each, rings for it, and moves the schedule on.

    In that order: who is killed in between has the next one repeat it, and a sync that is there is not stored again.
    Any number may run at once, one in a process, and as often as may be. A sync has no children before a worker takes
    it up, so that of thousands of schedules the last one waits for little more than as many inserts.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        schedules: ScheduleStore,
        jobs: JobStore,
        queue: SyncQueue,
        connections: ConnectionObstacles,
        batch: int = 500,
        lease_s: float = 10.0,
        look_again_s: float = 5.0,
    ) -> None:
        self._schedules = schedules
        self._jobs = jobs
        self._queue = queue
        self._connections = connections
        self._batch = batch
        self._lease_s = lease_s
        self._look_again_s = look_again_s
        self._at_work = threading.Lock()

    def dispatch(self) -> RunCounts:
        """Start what is due, and count; nothing while another thread is at it.

        Raises StoreUnavailableError: a later dispatch does the rest. With the broker away the syncs are stored all the
        same: the sweeper rings for them.
        """
        if not self._at_work.acquire(blocking=False):
            return RunCounts()  # beats ring more often than a dispatch of thousands takes
        try:
            return self._dispatch()
        finally:
            self._at_work.release()

    def _dispatch(self) -> RunCounts:
        counts = RunCounts()
        while (taken := self._schedules.take_due(limit=self._batch, lease_s=self._lease_s)).schedules:
            turns = self._turns(taken.schedules, at=taken.at)
            self._start([_sync(turn, at=taken.at) for turn in turns if turn.run_for is not None])
            moved = [turn.schedule for turn in turns]
            self._schedules.give_back(taken, moved, look_again_s=self._look_again_s)
            for before, turn in zip(taken.schedules, turns, strict=True):
                counts = counts.after(before, turn)
        return counts

    def _start(self, syncs: Sequence[Job]) -> None:
        """Store syncs and ring for them, by the dozen; where the broker is away the sweeper rings."""
        self._jobs.add_all(syncs)
        for first in range(0, len(syncs), _AT_ONCE):
            try:
                self._queue.publish(syncs[first : first + _AT_ONCE])
            except BrokerUnavailableError:
                self._jobs.mark_unpublished(syncs[first:])
                return

    def _turns(self, schedules: Sequence[Schedule], *, at: datetime) -> list[Turn]:
        busy = self._jobs.unfinished_among([each.last_job_id for each in schedules if each.last_job_id is not None])
        stopped = self._connections.obstacles([(each.account_id, each.owner) for each in schedules])
        return [self._turn(each, busy, stopped, at=at) for each in schedules]

    def _turn(
        self, schedule: Schedule, busy: set[str], stopped: Mapping[tuple[str, str], str], *, at: datetime
    ) -> Turn:
        obstacle = stopped.get((schedule.account_id, schedule.owner))
        turn = schedule.take_turn(at=at, is_busy=schedule.last_job_id in busy, is_stopped=obstacle is not None)
        counts = RunCounts().after(schedule, turn)
        if counts.skipped or counts.missed:
            _log.warning(
                "runs_not_started",
                account_id=schedule.account_id,
                missed=counts.missed,
                skipped=counts.skipped,
                reason=obstacle,
            )
        return turn


def _sync(turn: Turn, *, at: datetime) -> Job:
    schedule = turn.schedule
    assert turn.run_for is not None  # noqa: S101 - asked of turns that start one
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
