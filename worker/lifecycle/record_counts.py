"""RecordCounts: asks HubSpot how many records there are, or how many have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from worker.accounts.interfaces import TokenSource
from worker.errors import NoPermitError, RateLimitedError, TokenRefusedError
from worker.jobs.estimate import Basis, Count
from worker.lifecycle.interfaces import RecordCounter
from worker.rate_limit.interfaces import RateLimiter
from worker.rate_limit.permits import Permit
from worker.records.types import CopyId

_PERMIT_WITHIN_S = 1.0  # a plan is waited for, and can do without


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCounts:
    """Counts by searches, each with a permit of their limit, and with a token that is renewed once if it is refused."""

    tokens: TokenSource
    counter: RecordCounter
    searches: RateLimiter
    pause: Callable[[float], object]
    clock: Callable[[], datetime]

    def ask(self, copy: CopyId, owner: str, *, since: datetime | None = None) -> Count | None:
        """Return how many records of a type the account's portal holds, or has changed; None: not now.

        Raises TokenNotFoundError, a HubSpotError, UnavailableError.
        """
        with self._permits(copy) as permit:
            access_token = self.tokens.get(copy.account_id, owner)
            try:
                records = self.counter.count(copy.export_type, access_token, since=since, permit=permit)
            except (RateLimitedError, NoPermitError):  # searches have a limit of their own; a plan can do without
                return None
            except TokenRefusedError:
                access_token = self.tokens.get(copy.account_id, owner, rejected=access_token)
                records = self.counter.count(copy.export_type, access_token, since=since, permit=permit)
        return Count(records=records, basis=Basis.HUBSPOT, as_of=self.clock())

    @contextmanager
    def _permits(self, copy: CopyId) -> Iterator[Callable[[], Permit]]:
        """Give what gives permits, and close them all afterwards."""
        given: list[Permit] = []

        def permit() -> Permit:
            reservation = self.searches.reserve(copy.account_id, hub_id=copy.hub_id, within_s=_PERMIT_WITHIN_S)
            if not reservation.is_granted:
                raise NoPermitError(wait_s=reservation.wait_s)
            given.append(reservation.permit)
            if reservation.wait_s > 0:
                self.pause(reservation.wait_s)
            return reservation.permit

        try:
            yield permit
        finally:
            for each in given:
                each.close()
