"""WaitingLimit: limits how many requests of one caller may wait in this process at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import TooManyRequestsError


class WaitingLimit:
    """Counts the requests of each account and user that wait for a job or for HubSpot; 0: no limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: Counter[tuple[str, str]] = Counter()

    @property
    def waiting(self) -> int:
        """The number of waiting requests of all callers."""
        return self._waiting.total()

    @contextmanager
    def one_more(self, account_id: str, uid: str) -> Iterator[None]:
        """Count a request that waits within the block. Raises TooManyRequestsError before it."""
        caller = (account_id, uid)
        if self._most and self._waiting[caller] >= self._most:
            raise TooManyRequestsError(waiting_refusal(self._most))
        self._waiting[caller] += 1
        try:
            yield
        finally:
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]


def waiting_refusal(most: int) -> str:
    return (
        f"{most} requests of this caller are already waiting, which is the limit (MAX_WAITING_REQUESTS_PER_CALLER):"
        " try again when one of them has been answered, or ask without waiting"
    )
