"""PublishedKeys: an identity provider's public keys, as they are published at a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
import jwt
import structlog

_log = structlog.get_logger()
_KEPT_S = 300.0
_ASK_AGAIN_S = 10.0
_TRY_AGAIN_S = 2.0
_ANSWER_S = 5.0


class KeysNotPublishedError(Exception):
    """The provider does not answer, or not with keys."""


class PublishedKeys:
    """Keys by their ids, kept for 5 minutes: so long does one live on that was withdrawn.

    An id that is not known is asked for before that, since keys are replaced, but every 10 s at most, and every 2 s
    while the provider is away: whoever invents ids makes nobody ask for each of them. There is one question at a time,
    in a thread of its own, and who has a known key does not wait for it.
    """

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_ANSWER_S)
        self._clock = clock
        self._keys: Mapping[str, Any] = {}
        self._kept_until = float("-inf")
        self._ask_again_at = float("-inf")
        self._is_away = False
        self._question: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> Any | None:  # noqa: ANN401 - any of PyJWT's key objects
        """Give a key, or None when it is not published. Raises KeysNotPublishedError when that cannot be known."""
        key = self._kept(key_id)
        if key is None and self._clock() >= self._ask_again_at:
            await self._ask()
            key = self._kept(key_id)
        if key is None and self._is_away:
            raise KeysNotPublishedError
        return key

    def _kept(self, key_id: str) -> Any | None:  # noqa: ANN401 - as above
        return self._keys.get(key_id) if self._clock() < self._kept_until else None

    async def _ask(self) -> None:
        """Ask, or wait for the answer that someone else waits for; it comes also when nobody waits any more."""
        if self._question is None:
            self._question = asyncio.create_task(self._fetch())
        await asyncio.shield(self._question)

    async def _fetch(self) -> None:
        try:
            found = await anyio.to_thread.run_sync(self._client.get_signing_keys, limiter=anyio.CapacityLimiter(1))
        except (jwt.PyJWTError, OSError, ValueError) as error:
            _log.warning("keys_not_published", error=type(error).__name__)
            self._is_away, self._ask_again_at = True, self._clock() + _TRY_AGAIN_S
        else:
            self._keys = {str(key.key_id): key.key for key in found}
            self._is_away, self._ask_again_at = False, self._clock() + _ASK_AGAIN_S
            self._kept_until = self._clock() + _KEPT_S
        finally:
            self._question = None
