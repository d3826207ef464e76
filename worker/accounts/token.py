"""Token: the OAuth token of one (account, owner), the arithmetic of its life, and the right to renew it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from pydantic import SecretStr

_LEEWAY_S = 60.0
_LEEWAY_SHARE = 0.1
_LONGEST_LIFE_S = 366 * 86_400.0  # HubSpot's live 30 minutes; what claims to live longer than a year is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is stored for one (account, owner). `expires_in_s` is the access token's whole life in seconds.

    `stored_refresh_token` is the refresh token as it lies in the store, encrypted perhaps: by it the store tells, when
    a renewal is written back, whether it was got with the refresh token that is still there.
    `is_encrypted` says whether both tokens lie there encrypted.
    Either of `generated_at` and `expires_in_s` may be missing or unreadable in documents that other programs wrote;
    such a token counts as ended.
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
        """Give what there is before an account is connected."""
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
        """The end of the access token's life; None where nobody can tell."""
        if self.access_token is None or self.generated_at is None or self.expires_in_s is None:
            return None
        if not 0 <= self.expires_in_s <= _LONGEST_LIFE_S:
            return None
        return self.generated_at + timedelta(seconds=self.expires_in_s)

    def usable_access_token(self, *, at: datetime) -> SecretStr | None:
        """Give the access token while it has more life left than 60 s, or than a tenth of a short life."""
        if self.access_token is None or self.generated_at is None or self.expires_in_s is None:
            return None
        if self.expires_in_s > _LONGEST_LIFE_S:
            return None
        leeway_s = min(_LEEWAY_S, self.expires_in_s * _LEEWAY_SHARE)
        age_s = (at - self.generated_at).total_seconds()
        return self.access_token if age_s < self.expires_in_s - leeway_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token that works, and the HubSpot portal it opens; None: HubSpot has not told which.

    `is_strange`: HubSpot could not be asked, and the account has had portals that need not be this token's.
    """

    value: SecretStr
    hub_id: int | None = None
    is_strange: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewedToken:
    """What HubSpot's token endpoint gave."""

    access_token: SecretStr
    refresh_token: SecretStr
    expires_in_s: int
    generated_at: datetime

    def replacing(self, token: Token) -> Token:
        """Give the token that this is a renewal of as it is from now on."""
        return replace(
            token,
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            generated_at=self.generated_at,
            expires_in_s=self.expires_in_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalLease:
    """The right to renew the token of one (account, owner); no two leases have the same `holder`.

    One that is `for_refused` is another right: to renew a token that has life left, because HubSpot answered 401 to it.
    `is_taken_over`: the holder before let it lapse. It may have died, or have got a token that it cannot store yet.
    """

    account_id: str
    owner: str
    holder: str
    for_refused: bool = False
    is_taken_over: bool = field(default=False, compare=False)
