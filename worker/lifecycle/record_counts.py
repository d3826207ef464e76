"""RecordCounts: asks HubSpot how many records there are, or how many have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from worker.accounts.interfaces import TokenSource
from worker.errors import CallAbandonedError, NoPermitError, RateLimitedError, TokenRefusedError
from worker.jobs.estimate import Basis, Count
from worker.lifecycle.interfaces import RecordCounter
from worker.rate_limit.single_permits import SinglePermits
from worker.records.registry import OBJECT_TYPES
from worker.records.types import CopyId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCounts:
    """Counts by searches, each with a permit of their limit, and with a token that is renewed once if it is refused."""

    tokens: TokenSource
    counter: RecordCounter
    searches: SinglePermits
    clock: Callable[[], datetime]

    def ask(self, copy: CopyId, owner: str, *, since: datetime | None = None) -> Count | None:
        """Return how many records of a type the account's portal holds, or has changed.

        None: not now, or never, as of owners, which no search finds.

        Raises TokenNotFoundError, a HubSpotError, UnavailableError.
        """
        if not OBJECT_TYPES[copy.export_type].dated.has_properties:
            return None
        permit = partial(self.searches.take, copy.account_id, copy.hub_id)
        access_token = self.tokens.get(copy.account_id, owner)
        try:
            records = self.counter.count(copy.export_type, access_token, since=since, permit=permit)
        except (RateLimitedError, NoPermitError, CallAbandonedError):
            return None  # searches have a limit of their own, and a plan can do without
        except TokenRefusedError:
            access_token = self.tokens.get(copy.account_id, owner, rejected=access_token)
            records = self.counter.count(copy.export_type, access_token, since=since, permit=permit)
        return Count(records=records, basis=Basis.HUBSPOT, as_of=self.clock())
