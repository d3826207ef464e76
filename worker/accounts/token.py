"""Token: the OAuth token of one (account, owner), its expiry, and the lease to renew it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from pydantic import SecretStr

_LEEWAY_S = 60.0
_LEEWAY_SHARE = 0.1
_LONGEST_LIFE_S = 366 * 86_400.0  # HubSpot's live 30 minutes; a longer life than a year is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is stored for one (account, owner). `expires_in_s` is the access token's whole life in seconds.

    `stored_refresh_token` is the refresh token as stored, encrypted perhaps: a renewal is written only where that text
    is still there. `is_encrypted`: both tokens are stored encrypted. `generated_at` and `expires_in_s` may be missing
    or unreadable in documents that other programs wrote; such a token counts as expired.
    """

    account_id: str
    owner: str
    access_token: SecretStr | None
    refresh_token: SecretStr | None
    generated_at: datetime | None
    expires_in_s: float | None
    stored_refresh_token: SecretStr | None = field(default=None, compare=False)
    is_encrypted: bool = field(default=False, compare=False)

    @classmethod
    def missing(cls, account_id: str, owner: str) -> Self:
        """Return the token of an account that was never connected."""
        return cls(
            account_id=account_id,
            owner=owner,
            access_token=None,
            refresh_token=None,
            generated_at=None,
            expires_in_s=None,
        )

    @property
    def access_token_ends_at(self) -> datetime | None:
        """When the access token expires; None where that is not known."""
        if self.access_token is None or self.generated_at is None or self.expires_in_s is None:
            return None
        if not 0 <= self.expires_in_s <= _LONGEST_LIFE_S:
            return None
        return self.generated_at + timedelta(seconds=self.expires_in_s)

    def usable_access_token(self, *, at: datetime) -> SecretStr | None:
        """Return the access token while it has more than 60 s left, or more than a tenth of a shorter life."""
        if self.access_token is None or self.generated_at is None or self.expires_in_s is None:
            return None
        if self.expires_in_s > _LONGEST_LIFE_S:
            return None
        leeway_s = min(_LEEWAY_S, self.expires_in_s * _LEEWAY_SHARE)
        age_s = (at - self.generated_at).total_seconds()
        return self.access_token if age_s < self.expires_in_s - leeway_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A valid access token and its HubSpot portal; None: HubSpot has not told which.

    `is_strange`: HubSpot could not be asked, and the account has had portals that need not be this token's.
    """

    value: SecretStr
    hub_id: int | None = None
    is_portal_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewedToken:
    """The answer of HubSpot's token endpoint."""

    access_token: SecretStr
    refresh_token: SecretStr
    expires_in_s: int
    generated_at: datetime

    def replacing(self, token: Token) -> Token:
        """Return the token that this renews, with the new values."""
        return replace(
            token,
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            generated_at=self.generated_at,
            expires_in_s=self.expires_in_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalLease:
    """The lease to renew the token of one (account, owner); no two leases have the same `holder`.

    One that is `for_refused` is separate: it is for a token that has not expired, but got a 401 from HubSpot.
    `is_taken_over`: the previous holder's lease expired. It may have died, or hold a renewed token that it could not
    store yet.
    """

    account_id: str
    owner: str
    holder: str
    for_refused: bool = False
    is_taken_over: bool = field(default=False, compare=False)
