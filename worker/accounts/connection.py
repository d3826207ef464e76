"""Connection: what is known of an account's stored token besides the token itself. Pure values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import SecretStr

from worker.accounts.token import RenewedToken, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Tells one stored token from another without holding it.

    `grant` changes with the refresh token: when a user has connected anew. `token` changes with either of the two, so
    that whoever stores anything else than what was there is noticed.
    """

    grant: str
    token: str

    @classmethod
    def of(cls, token: Token | RenewedToken) -> Self:
        """Take the fingerprint. How the token is stored, encrypted or not, makes no difference to it."""
        grant = _digest(token.refresh_token)
        return cls(grant=grant, token=_digest(token.refresh_token, token.access_token))


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotFacts:
    """What HubSpot says of a token: whose it is and what it may do. None: it did not say."""

    hub_id: int | None = None
    user_id: int | None = None
    user: str | None = None
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """HubSpot refused the refresh token: only the user can help, by connecting the account again.

    `token` is the fingerprint of what was refused, `client_id` the app that asked with it: of anything else nothing is
    known. `asked_at` is when HubSpot last said so; None: it is to be asked once more, whatever it said.
    """

    reason: str
    since: datetime
    asked_at: datetime | None
    token: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What is known of the connection of one (account, owner), as of `checked_at`.

    `fingerprint` is that of the token which the facts were learned for; None: HubSpot was never asked.
    """

    account_id: str
    owner: str
    facts: HubSpotFacts = HubSpotFacts()
    fingerprint: Fingerprint | None = None
    checked_at: datetime | None = None
    refusal: Refusal | None = None

    def about(self, present: Fingerprint) -> Connection:
        """Give what of it still holds, now that the stored token has this fingerprint.

        Facts hold as long as the grant does; a refusal is of exactly what was refused.
        """
        same_grant = self.fingerprint is not None and self.fingerprint.grant == present.grant
        return Connection(
            account_id=self.account_id,
            owner=self.owner,
            facts=self.facts if same_grant else HubSpotFacts(),
            fingerprint=self.fingerprint if same_grant else None,
            checked_at=self.checked_at if same_grant else None,
            refusal=self.refusal if self.refusal is not None and self.refusal.token == present.token else None,
        )


def _digest(*secrets: SecretStr | None) -> str:
    """Hash tokens, which are far too random to be guessed from it."""
    parts = [secret.get_secret_value() if secret is not None else "" for secret in secrets]
    return hashlib.sha256("\n".join(["hubspot-export", *parts]).encode()).hexdigest()
