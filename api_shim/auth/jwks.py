"""PublishedKeys: an identity provider's public keys, fetched from its JWKS URL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import jwt
import structlog

_log = structlog.get_logger()
_FRESH_S = 300.0
_KEPT_S = 3600.0
_ASK_AGAIN_S = 10.0
_TRY_AGAIN_S = 2.0
_ANSWER_S = 5.0  # for the whole answer, also of a server that sends a byte a second
_MOST_BYTES = 1024 * 1024
_NO_KEYS = (httpx.HTTPError, httpx.InvalidURL, jwt.PyJWTError, OSError, ValueError, RecursionError)


class KeysNotPublishedError(Exception):
    """The provider does not answer, or not with a key set."""


class PublishedKeys:
    """A cache of keys by id. Keys are fetched again after 5 minutes, so a withdrawn key is accepted that long.

    While the provider is away, known keys stay valid for an hour. An unknown id triggers a fetch at once, since keys
    are rotated, but at most every 10 s, and every 2 s while the provider is away: JWTs with made-up ids cannot cause
    requests. At most one fetch is under way, and callers with a fresh key do not wait for it.
    """

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._keys: Sequence[jwt.PyJWK] = ()
        self._read_at = float("-inf")
        self._ask_again_at = float("-inf")
        self._is_away = False
        self._request: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> Any | None:  # noqa: ANN401 - any of PyJWT's key objects
        """Return a key, or None when it is not published; without an id the only key, where just one is published.

        Raises KeysNotPublishedError when the provider is away and the key is not cached.
        """
        key = self._known(key_id, for_s=_FRESH_S)
        if key is None and self._clock() >= self._ask_again_at:
            request = self._requested()
            if not self._is_away or self._known(key_id, for_s=_KEPT_S) is None:
                await asyncio.shield(request)
            key = self._known(key_id, for_s=_FRESH_S)
        if key is None and self._is_away:
            key = self._known(key_id, for_s=_KEPT_S)
            if key is None:
                raise KeysNotPublishedError
        return key

    def _known(self, key_id: str | None, *, for_s: float) -> Any | None:  # noqa: ANN401 - as above
        if self._clock() - self._read_at >= for_s:
            return None
        if key_id is None:
            return self._keys[0].key if len(self._keys) == 1 else None
        return next((each.key for each in self._keys if each.key_id == key_id), None)

    def _requested(self) -> asyncio.Task[None]:
        """Return the fetch under way, or start one, which completes even if no caller waits for it any more."""
        if self._request is None:
            self._request = asyncio.create_task(self._read())
        return self._request

    async def _read(self) -> None:
        try:
            self._keys = _signing_keys(await self._fetch())
        except _NO_KEYS as error:
            _log.warning("keys_not_published", error=type(error).__name__)
            self._is_away, self._ask_again_at = True, self._clock() + _TRY_AGAIN_S
        else:
            self._is_away, self._ask_again_at = False, self._clock() + _ASK_AGAIN_S
            self._read_at = self._clock()
        finally:
            self._request = None

    async def _fetch(self) -> bytes:
        body = bytearray()
        async with (
            asyncio.timeout(_ANSWER_S),
            httpx.AsyncClient(follow_redirects=True, timeout=_ANSWER_S) as client,
            client.stream("GET", self._url) as answer,
        ):
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError("the key set is too large")
        return bytes(body)


def _signing_keys(body: bytes) -> list[jwt.PyJWK]:
    """Read a JWK set (RFC 7517), leaving out keys that are published for encryption."""
    published = json.loads(body)
    if not isinstance(published, dict):
        raise ValueError("a key set is an object")  # noqa: TRY004 - a value from outside
    keys = [key for key in jwt.PyJWKSet.from_dict(published).keys if key.public_key_use in {"sig", None}]
    if not keys:
        raise ValueError("no key of the set is for signatures")
    return keys
