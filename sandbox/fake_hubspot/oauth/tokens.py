"""OAuth tokens and authorisation codes, and the seeded generator of identifiers."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

_CODE_LIFETIME_S = 600


class IdGenerator:
    """Generates random-looking identifiers that are reproducible by the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def hex(self, characters: int) -> str:
        return f"{self._random.getrandbits(4 * characters):0{characters}x}"


@dataclass(frozen=True)
class AccessToken:
    """An access token of an account; times in epoch seconds."""

    value: str
    hub_id: int
    expires_at: float
    issued_at: float = 0.0


@dataclass(frozen=True)
class AuthorizationCode:
    """A code for the authorization_code grant; can be used once."""

    value: str
    hub_id: int
    redirect_uri: str | None
    expires_at: float


class TokenStore:
    """All tokens. Expired access tokens are kept: HubSpot answers them differently from unknown ones."""

    def __init__(self, *, clock: Callable[[], float], ids: IdGenerator) -> None:
        self._clock = clock
        self._ids = ids
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, int] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    def issue(self, hub_id: int, *, lifetime_s: float) -> AccessToken:
        """Issue an access token; earlier ones stay valid, as in HubSpot."""
        # About the length of real tokens. The hub id keeps the tokens of two runs with the same seed apart.
        token = AccessToken(f"CK{hub_id}-{self._ids.hex(180)}", hub_id, self._clock() + lifetime_s, self._clock())
        self._access[token.value] = token
        return token

    def access(self, value: str) -> AccessToken | None:
        """Return an access token, live or expired."""
        return self._access.get(value)

    def expire(self, hub_id: int | None = None) -> int:
        """Expire the access tokens of an account, or of all; return how many were live."""
        now = self._clock()
        ending = [t for t in self._access.values() if hub_id in (None, t.hub_id) and t.expires_at > now]
        self._access.update({t.value: AccessToken(t.value, t.hub_id, now) for t in ending})
        return len(ending)

    def end(self, value: str) -> None:
        """Expire one access token."""
        token = self._access.get(value)
        if token is not None and token.expires_at > self._clock():
            self._access[value] = AccessToken(value, token.hub_id, self._clock())

    def clear(self) -> None:
        self._access.clear()
        self._refresh.clear()
        self._codes.clear()

    def install(self, hub_id: int, refresh_token: str) -> None:
        """Make this the only refresh token of the account."""
        self.revoke(hub_id)
        self._refresh[refresh_token] = hub_id

    def rotate(self, hub_id: int) -> str:
        """Replace the account's refresh token; return the new one."""
        refresh_token = self._ids.uuid()
        self.install(hub_id, refresh_token)
        return refresh_token

    def revoke(self, hub_id: int) -> bool:
        """Revoke the account's refresh token, as uninstalling does; return whether there was one."""
        revoked = [value for value, owner in self._refresh.items() if owner == hub_id]
        for value in revoked:
            del self._refresh[value]
        return bool(revoked)

    def owner(self, refresh_token: str) -> int | None:
        """Return the account of a valid refresh token."""
        return self._refresh.get(refresh_token)

    def refresh_token(self, hub_id: int) -> str | None:
        """Return the account's refresh token; None after its revocation."""
        return next((value for value, owner in self._refresh.items() if owner == hub_id), None)

    def issue_code(self, hub_id: int, *, redirect_uri: str | None) -> AuthorizationCode:
        """Issue a code that is valid for ten minutes."""
        code = AuthorizationCode(self._ids.uuid(), hub_id, redirect_uri, self._clock() + _CODE_LIFETIME_S)
        self._codes[code.value] = code
        return code

    def code(self, value: str) -> AuthorizationCode | None:
        """Return an unused code."""
        return self._codes.get(value)

    def spend_code(self, value: str) -> None:
        self._codes.pop(value, None)
