"""OpenJobCap and StoredBytesCap: how many jobs of an account may be open, and how many bytes its finished ones hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal, TypeAlias

import structlog

from worker.errors import StorageFullError, TooManyJobsError
from worker.jobs.interfaces import JobCounts

_log = structlog.get_logger()

_RETRY_AFTER_S = 10.0
_LOCKS = 64
_NEAR = 512  # more than one process stores at once: four groups of 100, and what its threads store one by one

Level: TypeAlias = Literal["nearly_full", "full"]

_FRESH_S = 60.0
_MOST_KNOWN = 10_000
_WARNED_FROM = 0.8
_RETRY_STORING_AFTER_S = 3600.0


class OpenJobCap:
    """Limits an account's open jobs, a sync counting as one; 0: no limit. Runs of schedules are never refused.

    Far from the limit nothing waits. Near it the threads of this process count and store one after the other, account
    by account, so that a burst ends exactly at the limit. Each further process may exceed it by one job.
    """

    def __init__(self, *, jobs: JobCounts, most: int) -> None:
        self._jobs = jobs
        self._most = most
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def require_room(self, account_id: str) -> int:
        """Return how many jobs the account has open. Raises TooManyJobsError at the limit."""
        if not self._most:
            return 0
        found = self._jobs.count_open(account_id, most=self._most)
        if found >= self._most:
            raise TooManyJobsError(job_refusal(self._most), retry_after_s=_RETRY_AFTER_S)
        return found

    @contextmanager
    def several_more(self, wanted: Mapping[str, int]) -> Iterator[Mapping[str, int]]:
        """Allow jobs of several accounts to be stored within the block: as many as `wanted`, or as there is room for.

        Yields how many those are. Raises StoreUnavailableError.
        """
        if not self._most:
            yield wanted
            return
        found = {account_id: self._jobs.count_open(account_id, most=self._most) for account_id in wanted}
        near = [account_id for account_id, jobs in found.items() if jobs + _NEAR >= self._most]
        with ExitStack() as locks:
            # Sorted, or two groups would take the same locks in opposite orders and wait for each other for ever.
            for number in sorted({hash(account_id) % _LOCKS for account_id in near}):
                locks.enter_context(self._locks[number])
            for account_id in near:
                found[account_id] = self._jobs.count_open(account_id, most=self._most)
            yield {account_id: min(jobs, self._most - found[account_id]) for account_id, jobs in wanted.items()}

    @contextmanager
    def one_more(self, account_id: str) -> Iterator[None]:
        """Allow one job of the account to be stored within the block. Raises TooManyJobsError before it."""
        if self.require_room(account_id) + _NEAR < self._most or not self._most:
            yield
            return
        with self._locks[hash(account_id) % _LOCKS]:
            self.require_room(account_id)
            yield


class StoredBytesCap:
    """Limits what an account's finished jobs store, in HubSpot's bytes before compression; 0: no limit.

    It warns first, then refuses new jobs. It is an estimate: jobs note their bytes when they end, so that a sum is read
    from an index, and a sum is used for a minute. `tell` is called with each sum that is high.
    """

    def __init__(
        self,
        *,
        jobs: JobCounts,
        most: int,
        tell: Callable[[Level], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs = jobs
        self._most = most
        self._tell = tell
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, int]] = {}

    def require_room(self, account_id: str) -> None:
        """Raise StorageFullError at the limit."""
        stored = self._stored_of(account_id)
        if self._most and stored >= self._most:
            raise StorageFullError(storage_refusal(stored, self._most), retry_after_s=_RETRY_STORING_AFTER_S)

    def warnings_for(self, account_id: str) -> tuple[str, ...]:
        """Return the warning for an account that is close to its limit, by the latest sum."""
        stored = self._known.get(account_id, (0.0, 0))[1]
        return (_warning(stored, self._most),) if self._is_high(stored) else ()

    def look(self, account_ids: Collection[str]) -> None:
        """Recompute the sums of these accounts and report the high ones. Nothing is refused."""
        if not self._most:
            return
        sums = self._jobs.stored_bytes_of(account_ids)
        if len(self._known) + len(account_ids) > _MOST_KNOWN:
            self._known.clear()
        for account_id in account_ids:
            self._note(account_id, sums.get(account_id, 0))

    def _stored_of(self, account_id: str) -> int:
        if not self._most:
            return 0
        made_at, stored = self._known.get(account_id, (float("-inf"), 0))
        if self._monotonic() - made_at >= _FRESH_S:
            self.look([account_id])
            stored = self._known.get(account_id, (made_at, stored))[1]  # another thread may have cleared it
        return stored

    def _note(self, account_id: str, stored: int) -> None:
        self._known[account_id] = (self._monotonic(), stored)
        if self._is_high(stored):
            level: Level = "full" if stored >= self._most else "nearly_full"
            self._tell(level)
            _log.warning(f"storage_{level}", account_id=account_id, stored_bytes=stored, most_bytes=self._most)

    def _is_high(self, stored: int) -> bool:
        return bool(self._most) and stored >= _WARNED_FROM * self._most


def job_refusal(most: int) -> str:
    """Return the message of the 429."""
    return (
        f"The account has {most} open jobs, which is the limit (MAX_OPEN_JOBS_PER_ACCOUNT):"
        " wait for some to end, or cancel them"
    )


def storage_refusal(stored: int, most: int) -> str:
    """Return the message of the 429."""
    return (
        f"The account's finished jobs hold {stored} bytes; the limit is {most} (MAX_STORED_BYTES_PER_ACCOUNT):"
        " delete some, or wait until they expire"
    )


def _warning(stored: int, most: int) -> str:
    return (
        f"The account's finished jobs hold {stored} of {most} bytes (MAX_STORED_BYTES_PER_ACCOUNT):"
        " new jobs will be refused at the limit; delete jobs that are no longer needed"
    )
