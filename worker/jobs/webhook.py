"""Webhook: the destination of a job's end, the deliveries so far, and when to retry; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""An instant in the past of every clock."""

MOST_ATTEMPTS = 8
_MOST_LOGGED = 2 * MOST_ATTEMPTS  # a retried job has several runs, each with its deliveries

_FIRST_S, _FACTOR = 20.0, 4.0  # 20 s, 80 s, 5 min, 21 min, 1.4 h, 5.7 h, 23 h: with the jitter a day in all
_LONGEST_ADVICE_S = 86_400.0
_SUCCESSES = range(200, 300)
_GONE = 410  # the destination asks for no further attempt


class WebhookStatus(StrEnum):
    """Whether the destination was told of the job's end: not yet, yes, or no more attempt is made."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """The result of one call: an HTTP status, or an error text for clients where there is none."""

    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the event was accepted; redirects are not followed, and so count as refusals."""
        return self.status in _SUCCESSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver an event; without an error it was accepted."""

    at: datetime
    event_id: str
    attempt: int
    status: int | None
    seconds: float
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The destination of a job's end, and the deliveries to it.

    `run_number` is the run of the job that `attempts` and `outcome` are about: a retried job ends again.
    """

    url: str
    run_number: int | None = None
    attempts: int = 0
    outcome: WebhookStatus = WebhookStatus.PENDING
    deliveries: tuple[Delivery, ...] = ()

    def after(self, reply: DeliveryResult, *, event_id: str, at: datetime, seconds: float) -> Self:
        """Record the result of the attempt that is under way."""
        outcome = self._outcome(reply)
        refusal = f"The answer was {reply.status}" if reply.status is not None else reply.error
        delivery = Delivery(
            at=at,
            event_id=event_id,
            attempt=self.attempts,
            status=reply.status,
            seconds=round(seconds, 3),
            error=None if outcome is WebhookStatus.DELIVERED else refusal,
        )
        return replace(self, outcome=outcome, deliveries=(*self.deliveries, delivery)[-_MOST_LOGGED:])

    def give_up(self) -> Self:
        return replace(self, outcome=WebhookStatus.FAILED)

    def retry_in_s(self, *, advised_s: float | None, jitter: float) -> float | None:
        """Return the seconds until the next attempt, at least what the destination asked for; None: there is none.

        `jitter` is in [0, 1).
        """
        if self.outcome is not WebhookStatus.PENDING:
            return None
        back_off_s: float = _FIRST_S * _FACTOR ** (self.attempts - 1) * (0.5 + 0.5 * jitter)
        return max(back_off_s, min(advised_s or 0.0, _LONGEST_ADVICE_S))

    def _outcome(self, reply: DeliveryResult) -> WebhookStatus:
        if reply.is_success:
            return WebhookStatus.DELIVERED
        is_last = reply.status == _GONE or self.attempts >= MOST_ATTEMPTS
        return WebhookStatus.FAILED if is_last else WebhookStatus.PENDING
