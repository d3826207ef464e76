"""SearchLimiter: the limit of searches, which HubSpot counts apart from all other calls."""

from __future__ import annotations

from typing import Protocol

from worker.rate_limit.interfaces import RateLimiter, Reservation
from worker.rate_limit.quota import Quota


class WatchedLimiter(RateLimiter, Protocol):
    """A RateLimiter that tells of a block before a permit is asked for, and reports how calls ended."""

    def blocked_for_s(self, account_id: str, *, hub_id: int | None = None) -> float:
        """Return the seconds left of a block, by whichever worker; 0.0 where none is known."""

    def flush(self) -> None:
        """Report to Redis now how calls ended."""


class SearchLimiter:
    """A RateLimiter of searches. A block of all calls holds searches back as well; one of searches holds nothing else.

    Searches do not count among the `calls`, nor those among the `searches`.
    """

    def __init__(self, *, calls: WatchedLimiter, searches: WatchedLimiter) -> None:
        self._calls = calls
        self._searches = searches

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = False
    ) -> Reservation:
        blocked_s = self._calls.blocked_for_s(account_id, hub_id=hub_id)
        if blocked_s > 0:
            return Reservation(wait_s=blocked_s, is_granted=False)
        return self._searches.reserve(account_id, hub_id=hub_id, within_s=within_s, low_priority=low_priority)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Do nothing: what an answer says of a limit, it says of that of all other calls."""

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        self._searches.block(account_id, hub_id=hub_id, seconds=seconds)

    def flush(self) -> None:
        """Report to Redis now how searches ended."""
        self._searches.flush()
