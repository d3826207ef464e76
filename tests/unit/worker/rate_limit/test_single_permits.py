"""Permits of single calls: waited for, and given up when the worker stops."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from worker.errors import CallAbandonedError
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.permits import FreePermit
from worker.rate_limit.quota import Quota
from worker.rate_limit.single_permits import SinglePermits


@dataclass
class Closable(FreePermit):
    """A permit that tells whether it was given up."""

    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Later:
    """A RateLimiter that grants a permit for a call in half a second."""

    permit: Closable = field(default_factory=Closable)

    def reserve(
        self,
        account_id: str,  # noqa: ARG002 - the seam's
        *,
        hub_id: int | None = None,  # noqa: ARG002 - the seam's
        within_s: float,  # noqa: ARG002 - the seam's
        low_priority: bool = False,  # noqa: ARG002 - the seam's
    ) -> Reservation:
        return Reservation(wait_s=0.5, is_granted=True, permit=self.permit)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        raise NotImplementedError

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        raise NotImplementedError


def test_a_call_does_not_leave_before_its_time_because_the_worker_stops() -> None:
    limiter, stopping = Later(), threading.Event()
    stopping.set()

    with pytest.raises(CallAbandonedError):
        SinglePermits(limiter=limiter, within_s=5, stopping=stopping).take("a1", 7)

    assert limiter.permit.is_closed
