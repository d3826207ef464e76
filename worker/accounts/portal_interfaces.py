"""The interfaces of portals: the HubSpot accounts that ours are, or have been, connected to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.accounts.token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A HubSpot portal that an account has been connected to; instants are of when tokens for it were seen."""

    hub_id: int
    first_seen_at: datetime
    last_seen_at: datetime


class PortalStore(Protocol):
    """The portals of each account. Every method raises StoreUnavailableError when MongoDB is away."""

    def see(self, account_id: str, hub_id: int) -> None:
        """Record that a token of the account belongs to this portal."""

    def seen_by(self, account_id: str) -> list[Portal]:
        """Return an account's portals, last seen first, without those that are being removed."""

    def start_removal(self, account_id: str, hub_id: int) -> bool:
        """Mark a portal for removal; False where the account never had it, or it is being removed already."""

    def removals(self, *, limit: int) -> list[tuple[str, int]]:
        """Return portals that are being removed, as (account_id, hub_id), oldest request first."""

    def finish_removal(self, account_id: str, hub_id: int) -> None:
        """Delete a portal whose data is gone; one that was seen since its removal was requested stays listed."""


class AccessTokenSource(Protocol):
    """Valid access tokens, each with its portal."""

    def get(self, account_id: str, owner: str, *, rejected: SecretStr | None = None) -> AccessToken:
        """Return a token and raise errors as TokenSource does; raises StoreUnavailableError as well.

        HubSpot is asked once for the portal of each token; where it does not tell, `hub_id` is None.
        """


class PresentPortals(Protocol):
    """Which portal an account is connected to, without asking HubSpot."""

    def connected(self, account_id: str, owner: str) -> int | None:
        """Return the portal of the stored token; None: it is not known, or no token is stored.

        Raises StoreUnavailableError, TokenUnreadableError.
        """

    def present(self, account_id: str, owner: str) -> int | None:
        """Return the portal to treat as the connected one: where that of the token is not known, the last one.

        Raises StoreUnavailableError.
        """
