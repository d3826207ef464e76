"""OpenJobCap: limits the open jobs of an account; requests beyond it are refused, runs of schedules never are."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from worker.errors import TooManyJobsError
from worker.jobs.interfaces import JobStore

_RETRY_AFTER_S = 10.0
_LOCKS = 64
_NEAR = 512  # more than one process stores at once: four groups of 100, and what its threads store one by one


class OpenJobCap:
    """Bounds an account's open jobs, a sync counted as one; 0: no bound.

    Far from the bound nothing waits. Near it the threads of this process count and store one after the other, account
    by account, so that a burst ends exactly at the bound; with several processes it may pass it by one for each.
    """

    def __init__(self, *, jobs: JobStore, most: int) -> None:
        self._jobs = jobs
        self._most = most
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def require_room(self, account_id: str) -> int:
        """Return how many jobs the account has open. Raises TooManyJobsError where it may have no more."""
        if not self._most:
            return 0
        found = self._jobs.count_open(account_id, most=self._most)
        if found >= self._most:
            raise TooManyJobsError(job_refusal(self._most), retry_after_s=_RETRY_AFTER_S)
        return found

    @contextmanager
    def several_more(self, wanted: Mapping[str, int]) -> Iterator[Mapping[str, int]]:
        """Let jobs of several accounts be stored within the block: as many as `wanted`, or as there is room for.

        Yields how many those are. Raises StoreUnavailableError.
        """
        if not self._most:
            yield wanted
            return
        found = {account_id: self._jobs.count_open(account_id, most=self._most) for account_id in wanted}
        near = [account_id for account_id, jobs in found.items() if jobs + _NEAR >= self._most]
        with ExitStack() as locks:
            # In one order, or two would wait for each other.
            for number in sorted({hash(account_id) % _LOCKS for account_id in near}):
                locks.enter_context(self._locks[number])
            for account_id in near:
                found[account_id] = self._jobs.count_open(account_id, most=self._most)
            yield {account_id: min(jobs, self._most - found[account_id]) for account_id, jobs in wanted.items()}

    @contextmanager
    def one_more(self, account_id: str) -> Iterator[None]:
        """Let a job of the account be stored within the block. Raises TooManyJobsError before it."""
        if self.require_room(account_id) + _NEAR < self._most or not self._most:
            yield
            return
        with self._locks[hash(account_id) % _LOCKS]:
            self.require_room(account_id)
            yield


def job_refusal(most: int) -> str:
    """Return the message of the 429."""
    return (
        f"The account has {most} open jobs, which is the limit (MAX_OPEN_JOBS_PER_ACCOUNT):"
        " wait for some to end, or cancel them"
    )
