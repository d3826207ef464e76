"""The interface of the rate limiter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.rate_limit.quota import Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The answer for one call: granted, to be made in `wait_s` seconds, or refused, to be asked for again then.

    A granted call counts until its `permit` is settled or closed, whether it is made or not.
    """

    wait_s: float
    is_granted: bool
    permit: Permit = field(default=FREE_PERMIT, compare=False, repr=False)


class RateLimiter(Protocol):
    """Limits calls to a HubSpot portal, over all workers and all accounts connected to it. No method raises.

    Where `hub_id` is not known, the account's last one counts, or else the account has a limit of its own.
    """

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = False
    ) -> Reservation:
        """Request a permit for a call within so many seconds.

        A low-priority call uses only what others leave: it is granted at once or refused, and never queued. A share of
        the limit is kept from it, and it keeps the limit's mean pace, so that the next ordinary call need not wait.
        """

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Adapt to what an answer says of the limit: one lower than ours, or calls that others have made.

        Call it after every answer, when nobody waits: mostly it does not ask Redis.
        """

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        """Hold back all calls to the portal, in every worker, after HubSpot answered 429.

        A shorter time than what is left of an earlier block changes nothing.
        """
