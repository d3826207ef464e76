"""JWT -> Caller(account_id, uid, scopes)."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from api_shim.auth.jwks import KeysNotPublishedError, PublishedKeys
from worker.errors import ExportError, UnavailableError
from worker.settings import ShimSettings

SCOPES = frozenset({"contacts", "contacts.external"})
"""Any one of these is enough."""

_LEEWAY_S = 30
_LONGEST_ID = 256
_MOST_VERIFIED = 10_000
_STORABLE = re.compile(r"[^\x00\ud800-\udfff]*")  # half a surrogate pair has no UTF-8


class UnauthorizedError(ExportError):
    """There is no JWT, it is not valid, or it lacks the account or the user."""

    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("Unauthorized User")


class InsufficientScopeError(ExportError):
    """The JWT is valid but grants none of the required scopes."""

    code = "insufficient_scope"

    def __init__(self) -> None:
        super().__init__("Forbidden")


class KeysUnavailableError(UnavailableError):
    """The identity provider's keys cannot be fetched, so no JWT can be verified."""

    def __init__(self) -> None:
        super().__init__("The identity provider is not available")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose JWT it is: `account_id` owns everything that the caller may see, `uid` the HubSpot token."""

    account_id: str
    uid: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """The claims of a JWT that this key has verified; the instants, of the machine's clock, include the leeway."""

    caller: Caller
    key: Any
    begins_at: float
    ends_at: float

    def is_good(self, keys: Sequence[Any], *, at: float) -> bool:
        """Whether verifying the JWT again would give the same result."""
        return self.begins_at <= at < self.ends_at and any(self.key is key for key in keys)


class _KeySource(Protocol):
    async def keys_for(self, token: str) -> Sequence[Any]: ...  # PyJWT takes text, bytes and key objects


class _FixedKeys:
    """The secrets, newest first, or the public key of the settings."""

    def __init__(self, *keys: Any) -> None:  # noqa: ANN401 - see _KeySource
        self._keys = keys

    async def keys_for(self, token: str) -> Sequence[Any]:  # noqa: ARG002 - any of them may have signed it
        return self._keys


class _KeySet:
    """The key that a JWT names, out of those that the identity provider publishes."""

    def __init__(self, keys: PublishedKeys) -> None:
        self._keys = keys

    async def keys_for(self, token: str) -> Sequence[Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise UnauthorizedError
        try:
            key = await self._keys.find(key_id)
        except KeysNotPublishedError:
            raise KeysUnavailableError from None
        if key is None:
            raise UnauthorizedError
        return (key,)


class JwtVerifier:
    """Verifies the signature, the pinned algorithm, `exp` (required), `nbf`, and `aud` and `iss` where they are set.

    The issuer's clock may differ from ours by 30 s. Other claims are not checked: issuers write a `sub` that is a
    number, or an `iat` of a clock that is a second ahead.

    A signature is verified once: the result is cached under the JWT's SHA-256, and holds while the key is in force and
    the JWT has not expired. The JWT itself is not kept.
    """

    def __init__(
        self,
        settings: ShimSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._verified: dict[bytes, _Verified] = {}
        self._keys = _key_source(settings, clock)
        self._algorithms = list(settings.algorithms)
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer

    async def caller(self, authorization: str | None) -> Caller:
        """Return the caller of an Authorization header.

        Raises UnauthorizedError, without a reason, which would help an attacker, and KeysUnavailableError.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthorizedError
        token = token.strip()
        try:
            keys = await self._keys.keys_for(token)
            name, now = hashlib.sha256(token.encode()).digest(), self._wall()
            known = self._verified.get(name)
            if known is None or not known.is_good(keys, at=now):
                known = self._verify(token, keys)
                self._remember(name, known)
        except jwt.PyJWTError:
            raise UnauthorizedError from None
        return known.caller

    def _verify(self, token: str, keys: Sequence[Any]) -> _Verified:
        key, claims = self._decode(token, keys)
        caller = Caller(
            account_id=_identity(claims.get("account_id")),
            uid=_identity(claims.get("uid")),
            scopes=_scopes(claims.get("scope")),
        )
        # PyJWT has checked that these are numbers.
        return _Verified(
            caller=caller,
            key=key,
            begins_at=int(claims.get("nbf", 0)) - _LEEWAY_S,
            ends_at=int(claims["exp"]) + _LEEWAY_S,
        )

    def _remember(self, name: bytes, verified: _Verified) -> None:
        # Dictionaries keep the order of insertion: the entry verified first goes.
        if len(self._verified) >= _MOST_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[name] = verified

    def _decode(self, token: str, keys: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
        # Only a wrong signature makes the next key worth trying; the errors of the last one are raised.
        for key in keys[:-1]:
            with suppress(jwt.InvalidSignatureError):
                return key, self._decode_with(key, token)
        return keys[-1], self._decode_with(keys[-1], token)

    def _decode_with(self, key: Any, token: str) -> dict[str, Any]:  # noqa: ANN401 - see _KeySource
        options: jwt.types.Options = {
            "require": ["exp"],
            "verify_aud": self._audience is not None,
            "verify_iat": False,
            "verify_jti": False,
            "verify_sub": False,
        }
        try:
            return jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options=options,
            )
        except (TypeError, ValueError):  # the key is of another kind than the algorithm that the JWT names
            raise UnauthorizedError from None


def _key_source(settings: ShimSettings, clock: Callable[[], float]) -> _KeySource:
    if settings.jwt_jwks_url is not None:
        return _KeySet(PublishedKeys(settings.jwt_jwks_url, clock=clock))
    if settings.jwt_public_key is not None:
        return _FixedKeys(load_pem_public_key(settings.jwt_public_key.encode()))  # parsed once, not for every JWT
    return _FixedKeys(*(secret.get_secret_value() for secret in settings.jwt_secret))


def _identity(value: Any) -> str:  # noqa: ANN401 - a claim from outside
    """Read an id claim: text that a database can hold, or a whole number as other programs write it."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_ID or not _STORABLE.fullmatch(text):
        raise UnauthorizedError
    return text


def _scopes(value: Any) -> frozenset[str]:  # noqa: ANN401 - a claim from outside
    words = value.split() if isinstance(value, str) else value
    return frozenset(w for w in words if isinstance(w, str)) if isinstance(words, list) else frozenset()
