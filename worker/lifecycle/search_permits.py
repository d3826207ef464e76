"""SearchPermits: permits of single searches, outside of exports."""

from __future__ import annotations

from collections.abc import Callable

from worker.errors import NoPermitError
from worker.rate_limit.interfaces import RateLimiter
from worker.rate_limit.permits import Permit

# Of somebody who can do without the answer, and longer than a window of the limit: a plan of all types takes several.
_LONGEST_WAIT_S = 1.5
_MOST_ASKS = 10


class SearchPermits:
    """Asks the limit of searches. `pause` waits for so many seconds."""

    def __init__(self, limiter: RateLimiter, *, pause: Callable[[float], object]) -> None:
        self._limiter = limiter
        self._pause = pause

    def take(self, account_id: str, hub_id: int | None) -> Permit:
        """Wait a moment for a permit. Raises NoPermitError where there is none so soon."""
        left_s, wait_s = _LONGEST_WAIT_S, 0.0
        for _ in range(_MOST_ASKS):
            reservation = self._limiter.reserve(account_id, hub_id=hub_id, within_s=left_s)
            wait_s = reservation.wait_s
            if not reservation.is_granted and wait_s > left_s:
                break
            self._pause(wait_s)
            if reservation.is_granted:
                return reservation.permit
            left_s -= wait_s
        raise NoPermitError(wait_s=wait_s)
