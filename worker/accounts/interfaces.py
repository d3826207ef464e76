"""The interfaces of tokens and connections: their stores, and what HubSpot says about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.accounts.connection import Connection, Fingerprint, Refusal, TokenInfo
from worker.accounts.gone_list import GoneList
from worker.accounts.token import RenewalLease, RenewedToken, Token
from worker.accounts.token_endpoint import GoneEndpoint
from worker.records.scopes import MissingScopes
from worker.records.types import ExportType


class TokenStore(Protocol):
    """OAuth tokens, shared with other programs. Every method raises StoreUnavailableError when MongoDB is away."""

    def find(self, account_id: str, owner: str) -> Token | None:
        """Return the stored token. Raises TokenUnreadableError when it is encrypted with a key that is not there."""

    def stored_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of these (account, owner) with a stored token, valid or not."""

    def readable_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of these (account, owner) with a stored token that can be decrypted."""

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        """Store the token of a new connection; fields that are not ours stay as they are.

        Return whether there was no token before.
        """

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        """Store the renewal of a token that was read here; fields that are not ours stay as they are.

        Return False, with nothing written, where another refresh token has been stored meanwhile: the account was
        reconnected, and the renewal of the old token is void.
        """

    def remove(self, account_id: str, owner: str) -> bool:
        """Delete the stored token and return whether there was one. A renewal under way is not stored after that."""


class RenewalLeases(Protocol):
    """Leases to renew a token: one at a time for each (account, owner), over all workers.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        """Acquire the lease for so many seconds; None while someone else holds it.

        The lease `for_refused`, of an unexpired token that HubSpot has refused, is a separate one.
        """

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        """Extend the lease to so many seconds from now; one that was taken over stays the other holder's."""

    def release(self, lease: RenewalLease) -> None:
        """Release the lease; one that was taken over stays the other holder's."""


class TokenEndpointMemory(Protocol):
    """Token endpoints that are gone, shared by all workers, by the store's clock.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, url: str) -> GoneEndpoint | None:
        """Return what is known of this endpoint."""

    def note_gone(self, url: str, *, status: int, reason: str) -> GoneEndpoint:
        """Record an answer that it is gone; one that comes a minute after the first confirms it."""

    def forget(self, url: str) -> None:
        """Delete what is known of it."""

    def known(self) -> list[GoneEndpoint]:
        """Return what is known of all endpoints."""


class TokenSource(Protocol):
    """Valid access tokens."""

    def get(self, account_id: str, owner: str, *, rejected: SecretStr | None = None) -> SecretStr:
        """Return an access token that has not expired, renewed if necessary.

        One that HubSpot has answered 401 to (`rejected`) is renewed as well, once a minute at most; in between it is
        returned again: right after a renewal HubSpot may answer 401 for some seconds.

        Raises TokenNotFoundError, ReconnectRequiredError, RetryableHubSpotError.
        """


class ConnectionStore(Protocol):
    """Stored connections. Every method raises StoreUnavailableError when MongoDB is away."""

    def find(self, account_id: str, owner: str) -> Connection | None:
        """Return the connection, which need not be about the token that is stored now: see `Connection.about`."""

    def learn(self, account_id: str, owner: str, facts: TokenInfo, *, fingerprint: Fingerprint, at: datetime) -> None:
        """Store what HubSpot said about a valid token, and end a refusal.

        What it did not say stays as known for the same grant.
        """

    def accept(self, account_id: str, owner: str) -> None:
        """Record that HubSpot has accepted the refresh token, and end a refusal."""

    def refuse(self, account_id: str, owner: str, refusal: Refusal) -> None:
        """Record that HubSpot has refused the token; `since` stays that of its first refusal."""

    def ask_again(self, account_id: str, owner: str) -> None:
        """Make the next renewal ask HubSpot again despite the refusal."""

    def forget(self, connection: Connection) -> None:
        """Delete this connection's refusal, unless there is another one by now."""

    def remove(self, account_id: str, owner: str) -> None: ...

    def of_portal(self, account_id: str, hub_id: int) -> list[Connection]:
        """Return an account's connections to this portal, whatever their token."""

    def list_refused(self, *, most: int) -> list[Connection]:
        """Return refused connections, oldest refusal first."""

    def refused_among(self, keys: Collection[tuple[str, str]]) -> list[Connection]:
        """Return the refused connections of these (account, owner)."""


class ConnectionHealth(Protocol):
    """Which accounts have to be connected again. Every method raises StoreUnavailableError when MongoDB is away.

    HubSpot is not asked. A token that was stored after the refusal, by whatever program, counts as valid.
    """

    def refusal(self, account_id: str, owner: str) -> Refusal | None:
        """Return the refusal of the stored token; None: none is known, or no token is stored.

        Raises TokenUnreadableError.
        """

    def count_refused(self) -> int:
        """Count the connections whose stored token HubSpot has refused."""


class TokenInfoSource(Protocol):
    """What HubSpot says about the stored token of an account."""

    def look(self, account_id: str, owner: str) -> TokenInfo:
        """Return it for the token that is in use now; HubSpot is asked once for each token, and the answer cached.

        Raises TokenNotFoundError, a HubSpotError (ReconnectRequiredError among them), UnavailableError.
        """


class ScopeSource(Protocol):
    """The scopes of an account's stored token."""

    def missing(
        self, account_id: str, owner: str, types: Collection[ExportType], *, token: SecretStr | None = None
    ) -> MissingScopes:
        """Return those of the types that HubSpot would refuse, each with the scopes of which one is needed.

        Where HubSpot does not tell the scopes, none counts as missing. It is asked, and errors are raised, as by
        `look`.
        """

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:
        """Return the granted scopes; None where HubSpot does not tell. HubSpot is asked as for `missing`."""


class GoneListStore(Protocol):
    """Which legacy lists HubSpot no longer serves to which account; two answers have to say so.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, account_id: str, export_type: ExportType) -> GoneList | None: ...

    def sight(
        self, account_id: str, export_type: ExportType, *, status: int | None, message: str, hub_id: int | None = None
    ) -> GoneList:
        """Record an answer that the list is gone, and return what is known then.

        It is remembered once the first such answer is a minute old. What was known of another portal's list is deleted.
        The message is cut to a bounded length.
        """

    def retract(self, sighting: GoneList) -> None:
        """Delete an unconfirmed record, since the list has answered; one that is remembered by now stays."""

    def remembered(self, account_id: str) -> list[GoneList]:
        """Return the account's lists that are remembered as gone, sorted by type."""

    def remembered_first(self, *, most: int) -> list[GoneList]:
        """Return lists of all accounts that are remembered as gone, oldest first."""

    def forget(self, account_id: str) -> None:
        """Delete all of an account: its jobs start with the legacy lists again."""
