"""RetryPolicy: an error and how often it was met -> seconds to wait, or None to give up; pure."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import RetryableHubSpotError
from worker.jobs import JobKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off from `first_s`, doubled up to `longest_s`, with jitter in its upper half.

    HubSpot's own advice outranks the arithmetic; advice to wait longer than `patience_s` means giving up.
    """

    most_attempts: int
    first_s: float
    longest_s: float
    patience_s: float

    def delay_s(self, error: RetryableHubSpotError, *, attempt: int, jitter: float) -> float | None:
        """Seconds before try `attempt` + 1; `attempt` counts from 1, `jitter` is in [0, 1)."""
        if attempt >= self.most_attempts:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.patience_s else None
        doublings = min(attempt - 1, 32)
        ceiling = min(self.longest_s, self.first_s * 2.0**doublings)
        return ceiling * (0.5 + 0.5 * jitter)


_DAY_S = 86_400.0

RETRY_POLICIES: dict[JobKind, RetryPolicy] = {
    # Someone waits at the other end: two quick tries more, then HubSpot's answer as it is.
    JobKind.PAGE: RetryPolicy(most_attempts=3, first_s=0.25, longest_s=1.0, patience_s=2.0),
    # HubSpot may ask for a day's patience while it moves an account between data centres (status 477).
    JobKind.EXPORT: RetryPolicy(most_attempts=12, first_s=1.0, longest_s=300.0, patience_s=2 * _DAY_S),
}
