"""StoredBytesCap: limits what the finished jobs of an account store; warns first, then refuses new jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

import structlog

from worker.errors import StorageFullError
from worker.jobs.interfaces import JobStore

_log = structlog.get_logger()

Level: TypeAlias = Literal["nearly_full", "full"]

_FRESH_S = 60.0
_MOST_KNOWN = 10_000
_WARNED_FROM = 0.8
_RETRY_AFTER_S = 3600.0


class StoredBytesCap:
    """Bounds what is stored of an account's finished jobs, in HubSpot's bytes before compression; 0: no bound.

    It is an estimate: jobs note their bytes when they end, so that a sum over them costs what a look through an index
    does, and a sum is good for a minute. What runs meanwhile is not counted. `tell` is told of each sum that is high.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
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
        """Raise StorageFullError if the account may have no new job."""
        stored = self._stored_of(account_id)
        if self._most and stored >= self._most:
            raise StorageFullError(storage_refusal(stored, self._most), retry_after_s=_RETRY_AFTER_S)

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
