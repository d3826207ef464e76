"""The interfaces of tokens and connections: their stores, and HubSpot's word on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from worker.accounts.connection import Connection, Fingerprint, HubSpotFacts, Refusal
from worker.accounts.gone_list import GoneList
from worker.accounts.scopes import MissingScopes
from worker.accounts.token import RenewalLease, RenewedToken, Token
from worker.accounts.token_endpoint import GoneEndpoint
from worker.records.types import ExportType


class TokenStore(Protocol):
    """OAuth tokens, shared with other programs. Every method raises StoreUnavailableError when MongoDB is away."""

    def find(self, account_id: str, owner: str) -> Token | None:
        """Return the stored token. Raises TokenUnreadableError when it is encrypted with a key that is not there."""

    def stored_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Say for which of these (account, owner) a token is stored, whatever it is worth."""

    def readable_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Say for which of these (account, owner) `find` returns a token."""

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        """Store what an account was connected with, whatever was there; fields that are not ours stay as they are.

        Gives whether there was nothing before.
        """

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        """Write a renewal of a token that was found here back; fields that are not ours stay as they are.

        Gives False, with nothing written, when another refresh token has been stored meanwhile: the account was
        connected anew, and what was got with the old one is worth nothing.
        """

    def remove(self, account_id: str, owner: str) -> bool:
        """Remove the stored token; gives whether there was one. What is written back later finds nothing."""


class RenewalLeases(Protocol):
    """Who may renew a token now: one at a time an (account, owner), over all workers.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        """Take the right to renew for so many seconds; None while someone else has it.

        The right to renew a token that HubSpot has refused though it has life left is another one, taken besides.
        """

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        """Have the right last so many seconds from now on; one that has gone to someone else stays theirs."""

    def release(self, lease: RenewalLease) -> None:
        """Return the right back; a lease that has lapsed and gone to someone else stays theirs."""


class TokenEndpointMemory(Protocol):
    """What all workers know of token endpoints that are gone, by the store's own clock.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, url: str) -> GoneEndpoint | None:
        """Return what is known of the endpoint that is set."""

    def note_gone(self, url: str, *, status: int, reason: str) -> GoneEndpoint:
        """Note that HubSpot has said once more that it is gone; a minute after the first time it is believed."""

    def forget(self, url: str) -> None:
        """Forget what HubSpot has said of it."""

    def known(self) -> list[GoneEndpoint]:
        """Return what is known of all there are."""


class TokenSource(Protocol):
    """Access tokens that work now."""

    def fresh(self, account_id: str, owner: str, *, refused: SecretStr | None = None) -> SecretStr:
        """Return an access token with life left, renewed if need be.

        One that HubSpot `refused` is renewed as well, once a minute at most; in between it is given again: right after
        a renewal HubSpot may answer 401 for some seconds.

        Raises TokenNotFoundError, ReconnectRequiredError, RetryableHubSpotError.
        """


class ConnectionStore(Protocol):
    """What is known of connections. Every method raises StoreUnavailableError when MongoDB is away."""

    def find(self, account_id: str, owner: str) -> Connection | None:
        """Return what is known; it need not be about the token that is stored now."""

    def learn(
        self, account_id: str, owner: str, facts: HubSpotFacts, *, fingerprint: Fingerprint, at: datetime
    ) -> None:
        """Keep what HubSpot said of a token that works: it ends a refusal.

        What it did not say stays as it was known for the same grant.
        """

    def accept(self, account_id: str, owner: str) -> None:
        """Note that HubSpot has taken the refresh token: it ends a refusal."""

    def refuse(self, account_id: str, owner: str, refusal: Refusal) -> None:
        """Note that HubSpot has refused the token. The first refusal of it says since when."""

    def ask_again(self, account_id: str, owner: str) -> None:
        """Have HubSpot asked once more, whatever it said of the token."""

    def forget(self, connection: Connection) -> None:
        """End the refusal that was found, unless there is another one by now."""

    def remove(self, account_id: str, owner: str) -> None:
        """Forget everything."""

    def of_portal(self, account_id: str, hub_id: int) -> list[Connection]:
        """Return those of an account of which this portal was learned, for whatever token."""

    def refused(self, *, most: int) -> list[Connection]:
        """Return connections that were refused, those that were first."""

    def refused_among(self, keys: Collection[tuple[str, str]]) -> list[Connection]:
        """Return those of these (account, owner) that were refused."""


class ConnectionHealth(Protocol):
    """Which accounts have to be connected again. Every method raises StoreUnavailableError when MongoDB is away.

    HubSpot is asked nothing here. A token that was stored since then, by whoever it was, needs no reconnecting.
    """

    def refusal(self, account_id: str, owner: str) -> Refusal | None:
        """Say why and since when the stored token is worth nothing; None: as far as is known it works.

        Where no token is stored there is nothing to refuse. Raises TokenUnreadableError.
        """

    def count_refused(self) -> int:
        """Count the connections whose stored token HubSpot has refused."""


class FactSource(Protocol):
    """What HubSpot says of the stored token of an account."""

    def look(self, account_id: str, owner: str) -> HubSpotFacts:
        """Return it for the token that is in use now; HubSpot is asked once for every token, the answer is kept.

        Raises TokenNotFoundError, a HubSpotError (ReconnectRequiredError among them), UnavailableError.
        """


class ScopeSource(Protocol):
    """What the stored token of an account may read."""

    def missing(
        self, account_id: str, owner: str, types: Collection[ExportType], *, token: SecretStr | None = None
    ) -> MissingScopes:
        """Name those of the types that HubSpot would refuse, each with the scopes of which one is needed.

        Scopes that it does not tell count as there. HubSpot is asked, and errors are raised, as by `FactSource.look`.
        """

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:
        """Return the scopes that were granted; None where HubSpot does not tell. HubSpot is asked as for `missing`."""


class GoneListStore(Protocol):
    """Which legacy lists HubSpot no longer serves, of which account: it takes two answers that say so.

    Every method raises StoreUnavailableError when MongoDB is away.
    """

    def find(self, account_id: str, export_type: ExportType) -> GoneList | None:
        """Return what is known of one list of one account."""

    def sight(
        self, account_id: str, export_type: ExportType, *, status: int | None, message: str, hub_id: int | None = None
    ) -> GoneList:
        """Note that HubSpot says the list is gone, and give what is known then.

        It is remembered once the first sighting is a minute old. What was known of another portal's list is forgotten.
        The message is cut to a bounded length.
        """

    def take_back(self, sighting: GoneList) -> None:
        """Forget a sighting: the list has answered since. One that has been remembered by now stays."""

    def remembered(self, account_id: str) -> list[GoneList]:
        """Return the account's lists that are remembered as gone, by type."""

    def remembered_first(self, *, most: int) -> list[GoneList]:
        """Return lists of all accounts that are remembered as gone, those that were first."""

    def forget(self, account_id: str) -> None:
        """Forget all of an account: its jobs begin with the legacy lists again."""
