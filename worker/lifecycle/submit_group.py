"""GroupSubmitter: stores jobs that were requested at about the same time, with one write of each kind for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.accounts.known_tokens import KnownTokens
from worker.clock import steady_s
from worker.errors import StorageFullError, StoreUnavailableError
from worker.jobs.interfaces import JobRepository
from worker.jobs.job import Job
from worker.jobs.turn import StoredJobs
from worker.lifecycle.caps import OpenJobCap, StoredBytesCap
from worker.lifecycle.idempotency import KeyedRequest
from worker.lifecycle.interfaces import IdempotencyStore

_TICK = timedelta(milliseconds=1)  # MongoDB's clock is rounded down to it


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to store, and the request with an Idempotency-Key that it comes from, if there is one."""

    job: Job
    asked: KeyedRequest | None = None


class GroupSubmitter:
    """Stores the jobs of a group that are acceptable without question.

    The others are left to `JobSubmitter` and `KeyedSubmitter`, one by one: without a token or room, with a key that was
    used before, or refused by the database. So the group raises nothing but the database's absence, and each reason
    to refuse a job has one place.

    As in `KeyedSubmitter`, keys are stored before jobs, and marked as accepted last.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        jobs: JobRepository,
        tokens: KnownTokens,
        keys: IdempotencyStore,
        open_jobs: OpenJobCap,
        storage: StoredBytesCap,
        now: Callable[[], datetime],
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self._jobs = jobs
        self._tokens = tokens
        self._keys = keys
        self._open_jobs = open_jobs
        self._storage = storage
        self._now = now
        self._steady = steady

    def store(self, group: Sequence[NewJob]) -> StoredJobs:
        """Store the acceptable jobs, and return them. Idempotent.

        Raises StoreUnavailableError; which jobs were stored is then unknown.
        """
        acceptable = self._acceptable(group)
        asked_at, at = self._steady(), self._now()
        stored = self._stored(acceptable, at=at) if acceptable else []
        if keyed := [each.asked for each in stored if each.asked is not None]:
            with suppress(StoreUnavailableError):  # without the mark the jobs are still found by their ids
                self._keys.mark_all_accepted(keyed)
        # Rather too late than too early: a claim voids the turns published before it, and a claim between the reading
        # of the clock and the insert has not seen these jobs (docs/decisions/0027).
        as_of = at + timedelta(seconds=self._steady() - asked_at) + _TICK
        return StoredJobs(jobs=tuple(each.job for each in stored), as_of=as_of)

    def _acceptable(self, group: Sequence[NewJob]) -> list[NewJob]:
        """Return the jobs whose token exists and whose account may store more."""
        readable = self._tokens.readable_among({(each.job.account_id, each.job.owner) for each in group})
        with_room = {account_id for account_id in {key[0] for key in readable} if self._has_storage(account_id)}
        return [
            each
            for each in group
            if (each.job.account_id, each.job.owner) in readable and each.job.account_id in with_room
        ]

    def _has_storage(self, account_id: str) -> bool:
        try:
            self._storage.require_room(account_id)
        except StorageFullError:
            return False
        return True

    def _stored(self, acceptable: Sequence[NewJob], *, at: datetime) -> list[NewJob]:
        wanted = Counter(each.job.account_id for each in acceptable)
        with self._open_jobs.several_more(wanted) as room:
            first = self._first_under_their_keys(_within(room, acceptable), at=at)
            refused = self._jobs.insert_all([each.job for each in first], at=at)
        return [each for each in first if each.job.job_id not in refused]

    def _first_under_their_keys(self, wanted: Sequence[NewJob], *, at: datetime) -> list[NewJob]:
        keyed = {each.job.job_id: each.asked for each in wanted if each.asked is not None}
        kept: Collection[str] = self._keys.keep_new(keyed, at=at) if keyed else ()
        return [each for each in wanted if each.asked is None or each.job.job_id in kept]


def _within(room: Mapping[str, int], wanted: Sequence[NewJob]) -> list[NewJob]:
    """Return the first jobs of each account, as many as it has room for."""
    left = dict(room)
    fitting = []
    for each in wanted:
        if left[each.job.account_id] > 0:
            left[each.job.account_id] -= 1
            fitting.append(each)
    return fitting
