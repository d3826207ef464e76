"""The seams of portals: HubSpot accounts that ours are connected to, one after the other, and what belongs to each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.accounts.token import AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A HubSpot portal that an account has been connected to; the instants are of tokens that opened it."""

    hub_id: int
    first_seen_at: datetime
    last_seen_at: datetime


class PortalStore(Protocol):
    """The portals of each account. Every method raises StoreUnavailableError when MongoDB is away."""

    def see(self, account_id: str, hub_id: int) -> None:
        """Note that a token of the account opens this portal."""

    def seen_by(self, account_id: str) -> list[Portal]:
        """List the portals of an account, the one that was seen last first; none that is being removed."""

    def start_removal(self, account_id: str, hub_id: int) -> bool:
        """Have all that belongs to a portal removed; False where the account never had it, or it is being removed."""

    def removals(self, *, limit: int) -> list[tuple[str, int]]:
        """Name portals that are being removed, as (account, hub_id), those that were asked for first."""

    def finish_removal(self, account_id: str, hub_id: int) -> None:
        """Forget a portal of which nothing is left; one that was seen since its removal was asked for stays listed."""


class AccessTokenSource(Protocol):
    """Access tokens that work now, each with the portal that it opens."""

    def fresh(self, account_id: str, owner: str, *, refused: SecretStr | None = None) -> AccessToken:
        """Give a token as `TokenSource.fresh` does, and raise what that raises, or StoreUnavailableError.

        HubSpot is asked for the portal of a token that nobody knows, once; where it does not tell, there is none.
        """


class PresentPortals(Protocol):
    """Which portal an account is connected to. HubSpot is asked nothing."""

    def connected(self, account_id: str, owner: str) -> int | None:
        """Give the portal of the stored token, as far as that is known; None: it is not, or nothing is stored.

        Raises StoreUnavailableError, TokenUnreadableError.
        """

    def present(self, account_id: str, owner: str) -> int | None:
        """Give the portal that is to be taken for the connected one: as long as nobody has told, the last there was.

        Raises StoreUnavailableError.
        """
