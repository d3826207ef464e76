"""SinglePermits: permits of calls that belong to no page of an export."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from worker.errors import CallAbandonedError, NoPermitError
from worker.rate_limit.interfaces import RateLimiter
from worker.rate_limit.permits import Permit

LEAST_WAIT_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePermits:
    """Waits `within_s` for each at the most."""

    limiter: RateLimiter
    within_s: float
    stopping: threading.Event
    monotonic: Callable[[], float] = time.monotonic

    def take(self, account_id: str, hub_id: int | None) -> Permit:
        """Wait until a call may be made: not before may it leave.

        Raises NoPermitError where there is no permit so soon, CallAbandonedError when the worker stops.
        """
        until = self.monotonic() + self.within_s
        while True:
            left_s = until - self.monotonic()
            reservation = self.limiter.reserve(account_id, hub_id=hub_id, within_s=max(0.0, left_s))
            if not reservation.is_granted and reservation.wait_s > left_s:
                raise NoPermitError(wait_s=reservation.wait_s)
            wait_s = reservation.wait_s if reservation.is_granted else max(reservation.wait_s, LEAST_WAIT_S)
            if wait_s > 0 and self.stopping.wait(wait_s):
                reservation.permit.close()
                raise CallAbandonedError("The worker stops; the call is made again")
            if reservation.is_granted:
                return reservation.permit
