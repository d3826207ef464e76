"""Sweeper: publishes for jobs that have no message, and does chores; one at a time in a deployment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from worker.errors import BrokerUnavailableError, StoreUnavailableError, UnavailableError
from worker.jobs.lease_interfaces import JobOutbox
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn, DueJob
from worker.lifecycle.interfaces import CHORES, PUBLISHING, QUEUED_AFTER_S, UpkeepStore
from worker.messaging.interfaces import TurnQueue

_log = structlog.get_logger()

_PUBLISHING_LEASE_S, _CHORES_LEASE_S = 15.0, 60.0  # for so long a killed sweeper blocks the next one
_MARKED = {Line.INTERACTIVE: (Line.INTERACTIVE,), Line.BULK: (Line.BULK, Line.SYNC)}  # lines that share a queue

Chore = Callable[[], object]
"""Does a bounded part of some recovery or clean-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepLimits:
    """How much a sweep does: it publishes for `work_s`, a `batch` at a time, at most `slots` an account (0: no limit).

    A message is suspected to be lost after `patience_s`; a mark is sent every `mark_every_s` at most; a delivered
    message leads to a claim within `grace_s`.
    """

    work_s: float = 5.0
    batch: int = 500
    slots: int = 8
    patience_s: float = QUEUED_AFTER_S
    mark_every_s: float = 5.0
    grace_s: float = 3.0


class Sweeper:
    """Publishes turns for jobs that have become due, and for jobs whose message was lost.

    A message is lost when a mark, which was published after it, has been delivered: queues are first in, first out.
    So a job that merely waits for its turn is never published twice, however long the queue is.
    `duties` are done by the sweep that publishes; `chores`, which may take longer, under a lease of their own by one
    sweep beside it. A failure of one of them does not affect the others.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        jobs: JobOutbox,
        queue: TurnQueue,
        upkeep: UpkeepStore,
        duties: Sequence[Chore],
        chores: Sequence[Chore],
        limits: SweepLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._upkeep = upkeep
        self._duties = duties
        self._chores = chores
        self._limits = limits or SweepLimits()
        self._monotonic = monotonic

    def sweep(self) -> int:
        """Publish, do duties and chores, and return for how many jobs was published; 0 while another sweep is at work.

        Raises UnavailableError: a later sweep does the rest.
        """
        published = 0
        with self._leased(PUBLISHING, lease_s=_PUBLISHING_LEASE_S) as holder:
            if holder is not None:
                published = self._publish_all(holder)
                self._do(self._duties)
        with self._leased(CHORES, lease_s=_CHORES_LEASE_S) as holder:
            if holder is not None:
                self._do(self._chores)
        return published

    @contextmanager
    def _leased(self, chore: str, *, lease_s: float) -> Iterator[str | None]:
        holder = self._upkeep.acquire(chore, lease_s=lease_s)
        try:
            yield holder
        finally:
            if holder is not None:
                with suppress(StoreUnavailableError):  # it expires by itself
                    self._upkeep.release(chore, holder)

    def _do(self, chores: Sequence[Chore]) -> None:
        """Do one after the other. An absent server ends all of them, any other failure only its own chore."""
        for chore in chores:
            try:
                chore()
            except UnavailableError:
                raise
            except Exception:  # noqa: BLE001 - logged below; otherwise one bad document would end all chores
                _log.exception("chore_failed")

    def _publish_all(self, holder: str) -> int:
        self._jobs.adopt()
        ends_at = self._monotonic() + self._limits.work_s
        published = 0
        while batch := [*self._jobs.take_due(limit=self._limits.batch), *self._take_lost()]:
            self._publish(batch)
            published += len(batch)
            is_over = self._monotonic() >= ends_at
            if is_over or not self._upkeep.extend(PUBLISHING, holder, lease_s=_PUBLISHING_LEASE_S):
                break
        self._send_marks()
        return published

    def _take_lost(self) -> list[DueJob]:
        before: dict[Line, datetime] = {}
        for marked, lines in _MARKED.items():
            until = self._upkeep.delivered_until(marked, grace_s=self._limits.grace_s)
            before |= dict.fromkeys(lines, until) if until is not None else {}
        if not before:
            return []
        return self._jobs.take_lost(before, most=self._limits.slots, limit=self._limits.batch)

    def _publish(self, taken: Sequence[DueJob]) -> None:
        """Publish one start for each sync, and as many turns for an account's line as it has slots."""
        as_of = self._jobs.now()
        wanted: Counter[tuple[str, Line]] = Counter()
        for number, job in enumerate(taken):
            line = job.account_id, job.line
            wanted[line] += 1
            if self._limits.slots and wanted[line] > self._limits.slots and not job.is_sync:
                continue
            try:
                self._publish_for(job, as_of)
            except BrokerUnavailableError:
                self._jobs.mark_unpublished(taken[number:])  # they were marked as published when they were taken
                raise
            _log.info("job_republished", job_id=job.job_id, account_id=job.account_id)

    def _publish_for(self, job: DueJob, as_of: datetime) -> None:
        if job.is_sync:
            self._queue.publish_start(job.job_id)
        else:
            self._queue.publish_turn(AccountTurn(account_id=job.account_id, line=job.line, as_of=as_of))

    def _send_marks(self) -> None:
        """Send a mark into each queue in which a job has waited for long, unless one was sent a moment ago."""
        for marked, lines in _MARKED.items():
            ages = [self._jobs.oldest_queued_s(line) for line in lines]
            if not any(age is not None and age > self._limits.patience_s for age in ages):
                continue
            sent_at = self._upkeep.next_mark(marked, every_s=self._limits.mark_every_s)
            if sent_at is None:
                continue
            if self._queue.is_empty(marked):  # all that was published before the mark is delivered already
                self._upkeep.note_mark(marked, sent_at)
            else:
                self._queue.publish_mark(marked, sent_at)
