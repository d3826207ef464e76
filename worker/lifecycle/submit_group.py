"""GroupSubmitter: stores jobs that were asked for at about the same time, with one write of each kind for all."""

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

_TICK = timedelta(milliseconds=1)  # MongoDB tells its time rounded down to these


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be stored, and the request under an Idempotency-Key that it comes from, if it has one."""

    job: Job
    asked: KeyedRequest | None = None


class GroupSubmitter:
    """Stores the jobs of a group about which there is nothing to say but yes.

    All others are left to `JobSubmitter` and `KeyedSubmitter`, one by one: what has no token, no room or a key that was
    used before, and what the database refuses. So the group needs no error but the database's absence, and each reason
    to refuse a job has one place.

    As in `KeyedSubmitter`, keys are stored before jobs, and the notes that these were stored come last.
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
        """Store what can be stored now, and return it. Doing it again with the same jobs changes nothing.

        Raises StoreUnavailableError, where it is not known which jobs were stored.
        """
        acceptable = self._acceptable(group)
        asked_at, at = self._steady(), self._now()
        stored = self._stored(acceptable, at=at) if acceptable else []
        if keyed := [each.asked for each in stored if each.asked is not None]:
            with suppress(StoreUnavailableError):  # the jobs are found by their ids for as long as they are there
                self._keys.mark_all_accepted(keyed)
        # Too late rather than too early: a claim voids the turns that were published before it, and one between the
        # answer about the time and the jobs' being stored has not seen the jobs (docs/decisions/0027).
        as_of = at + timedelta(seconds=self._steady() - asked_at) + _TICK
        return StoredJobs(jobs=tuple(each.job for each in stored), as_of=as_of)

    def _acceptable(self, group: Sequence[NewJob]) -> list[NewJob]:
        """Return the jobs that have a token, and an account that may store more."""
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
    """Return no more jobs of an account than it has room for."""
    left = dict(room)
    fitting = []
    for each in wanted:
        if left[each.job.account_id] > 0:
            left[each.job.account_id] -= 1
            fitting.append(each)
    return fitting
