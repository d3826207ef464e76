"""OAuth tokens and authorisation codes: issuing, looking up, ending them; and every other made-up identifier."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

_CODE_LIFETIME_S = 600


class Mint:
    """Identifiers that look random and are the same in every run with the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> str:
        """Make a UUID of version 4."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def hex(self, characters: int) -> str:
        """So many hexadecimal digits."""
        return f"{self._random.getrandbits(4 * characters):0{characters}x}"


@dataclass(frozen=True)
class AccessToken:
    """An access token of an account, live before `expires_at` (epoch seconds)."""

    value: str
    hub_id: int
    expires_at: float
    issued_at: float = 0.0


@dataclass(frozen=True)
class AuthorizationCode:
    """What an installation gives an app to fetch its first tokens with; good once."""

    value: str
    hub_id: int
    redirect_uri: str | None
    expires_at: float


class TokenBook:
    """All tokens there are. Expired access tokens stay known: HubSpot tells them from unknown ones."""

    def __init__(self, *, clock: Callable[[], float], mint: Mint) -> None:
        self._clock = clock
        self._mint = mint
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, int] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    def issue(self, hub_id: int, *, lifetime_s: float) -> AccessToken:
        """Make an access token; those made before stay live, as in HubSpot."""
        # About the length of real ones; the account's number in it keeps tokens of two runs apart.
        token = AccessToken(f"CK{hub_id}-{self._mint.hex(180)}", hub_id, self._clock() + lifetime_s, self._clock())
        self._access[token.value] = token
        return token

    def access(self, value: str) -> AccessToken | None:
        """Look up an access token, live or expired."""
        return self._access.get(value)

    def expire(self, hub_id: int | None = None) -> int:
        """End the live access tokens of an account, or all of them; answers how many."""
        now = self._clock()
        ending = [t for t in self._access.values() if hub_id in (None, t.hub_id) and t.expires_at > now]
        self._access.update({t.value: AccessToken(t.value, t.hub_id, now) for t in ending})
        return len(ending)

    def end(self, value: str) -> None:
        """End one access token, and no other of its account."""
        token = self._access.get(value)
        if token is not None and token.expires_at > self._clock():
            self._access[value] = AccessToken(value, token.hub_id, self._clock())

    def clear(self) -> None:
        """Forget all tokens and codes."""
        self._access.clear()
        self._refresh.clear()
        self._codes.clear()

    def install(self, hub_id: int, refresh_token: str) -> None:
        """Make this the account's one refresh token."""
        self.revoke(hub_id)
        self._refresh[refresh_token] = hub_id

    def rotate(self, hub_id: int) -> str:
        """Replace the account's refresh token by a new one and answer it."""
        refresh_token = self._mint.uuid()
        self.install(hub_id, refresh_token)
        return refresh_token

    def revoke(self, hub_id: int) -> bool:
        """End the account's refresh token, as an uninstallation does; answers whether there was one."""
        revoked = [value for value, owner in self._refresh.items() if owner == hub_id]
        for value in revoked:
            del self._refresh[value]
        return bool(revoked)

    def owner(self, refresh_token: str) -> int | None:
        """Account of a refresh token that still works."""
        return self._refresh.get(refresh_token)

    def refresh_token(self, hub_id: int) -> str | None:
        """Look up the account's refresh token; None once it was revoked."""
        return next((value for value, owner in self._refresh.items() if owner == hub_id), None)

    def issue_code(self, hub_id: int, *, redirect_uri: str | None) -> AuthorizationCode:
        """Make a code for the authorization_code grant."""
        code = AuthorizationCode(self._mint.uuid(), hub_id, redirect_uri, self._clock() + _CODE_LIFETIME_S)
        self._codes[code.value] = code
        return code

    def code(self, value: str) -> AuthorizationCode | None:
        """Look up a code that was not spent."""
        return self._codes.get(value)

    def spend_code(self, value: str) -> None:
        """Make the code unusable."""
        self._codes.pop(value, None)
