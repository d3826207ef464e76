"""The interface of the rate limiter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.rate_limit.quota import Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The place of one call: booked, to be made in `wait_s` seconds, or not, to be asked for again then.

    A booked call counts until its `permit` is settled or closed, whether it is made or not.
    """

    wait_s: float
    is_booked: bool
    permit: Permit = field(default=FREE_PERMIT, compare=False, repr=False)


class RateLimiter(Protocol):
    """Calls per HubSpot portal, counted over all workers and all accounts that are connected to it. Nothing raises.

    Where the `hub_id` is not known, the account's last one counts, or else the account has a limit of its own.
    """

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, is_spare: bool = False
    ) -> Reservation:
        """Book the next call that may be made, if that is within so many seconds.

        A spare call takes only what all others leave: it goes at once or not at all, and has no turn. Some places are
        kept from it, and it keeps the mean pace of the limit, so that whoever comes next need not wait.
        """

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Take note of what HubSpot says: a lower limit than ours, or calls that we know nothing of.

        To be told after every answer, while nobody waits for it: mostly it asks nobody.
        """

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        """Hold back all calls to the portal, in every worker: HubSpot has answered 429.

        A shorter time than what is left of an earlier block changes nothing.
        """
