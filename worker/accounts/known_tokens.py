"""KnownTokens: caches for 2 s for whom a token is stored, so that not every submission looks it up."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from worker.accounts.interfaces import TokenStore

_FRESH_S = 2.0
_MOST = 10_000

Key = tuple[str, str]
"""An account and an owner."""


class KnownTokens:
    """Caches that a token is there, never that there is none: an account that was just connected is not refused.

    A token that another process removes is still seen for up to 2 s. A job accepted meanwhile fails with
    `token_not_found`, like one whose token is removed right after it was accepted.
    """

    def __init__(self, tokens: TokenStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._monotonic = monotonic
        self._seen_at: dict[Key, float] = {}

    def readable_among(self, keys: Collection[Key]) -> set[Key]:
        """Return those with a stored token that can be decrypted. Raises StoreUnavailableError."""
        now = self._monotonic()
        known = {key for key in keys if now - self._seen_at.get(key, float("-inf")) < _FRESH_S}
        if len(known) == len(keys):
            return known
        found = self._tokens.readable_among(set(keys) - known)
        if len(self._seen_at) + len(found) > _MOST:
            self._seen_at.clear()
        self._seen_at.update(dict.fromkeys(found, now))
        return known | found

    def forget(self, account_id: str, owner: str) -> None:
        """Look it up again next time."""
        self._seen_at.pop((account_id, owner), None)
