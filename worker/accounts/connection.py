"""Connection: what is known about an account's stored token, apart from the token itself. Pure values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import SecretStr

from worker.accounts.token import RenewedToken, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Identifies a stored token without holding it.

    `grant` changes with the refresh token, when a user has reconnected. `token` changes with either token, so that
    anything stored by another program is noticed.
    """

    grant: str
    token: str

    @classmethod
    def of(cls, token: Token | RenewedToken) -> Self:
        """Compute it from the plain tokens, so that encryption makes no difference."""
        grant = _digest(token.refresh_token)
        return cls(grant=grant, token=_digest(token.refresh_token, token.access_token))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What HubSpot's introspection says about a token; None: it did not say."""

    hub_id: int | None = None
    user_id: int | None = None
    user: str | None = None
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """HubSpot refused the refresh token: only the user can help, by connecting the account again.

    It holds for the token with the fingerprint `token` and the app `client_id`, and says nothing about others.
    `asked_at` is when HubSpot last said so; None: ask once more.
    """

    reason: str
    since: datetime
    asked_at: datetime | None
    token: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What is known of the connection of one (account, owner), as of `checked_at`.

    `fingerprint` is of the token that the facts are about; None: HubSpot was never asked.
    """

    account_id: str
    owner: str
    facts: TokenInfo = TokenInfo()
    fingerprint: Fingerprint | None = None
    checked_at: datetime | None = None
    refusal: Refusal | None = None

    def about(self, present: Fingerprint) -> Connection:
        """Return what still holds for a stored token with this fingerprint.

        Facts hold as long as the grant is the same; a refusal holds for exactly the refused token.
        """
        same_grant = self.fingerprint is not None and self.fingerprint.grant == present.grant
        return Connection(
            account_id=self.account_id,
            owner=self.owner,
            facts=self.facts if same_grant else TokenInfo(),
            fingerprint=self.fingerprint if same_grant else None,
            checked_at=self.checked_at if same_grant else None,
            refusal=self.refusal if self.refusal is not None and self.refusal.token == present.token else None,
        )


def _digest(*secrets: SecretStr | None) -> str:
    # Unsalted: tokens are too random to be found by guessing.
    parts = [secret.get_secret_value() if secret is not None else "" for secret in secrets]
    return hashlib.sha256("\n".join(["hubspot-export", *parts]).encode()).hexdigest()
