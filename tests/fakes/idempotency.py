"""InMemoryIdempotencyStore: keeps keys for a day by an injected clock, and may be away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from worker.errors import StoreUnavailableError
from worker.lifecycle.idempotency import KeptRequest, KeyedRequest

_KEPT = timedelta(days=1)
_Key = tuple[str, str, str]


class InMemoryIdempotencyStore:
    """IdempotencyStore. `all` is what is kept, by account, owner and key."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: dict[_Key, tuple[KeptRequest, datetime]] = {}

    @property
    def all(self) -> dict[_Key, KeptRequest]:
        """Every request that is kept."""
        return {key: kept for key, (kept, expires_at) in self._stored.items() if expires_at > self._clock()}

    def find(self, asked: KeyedRequest) -> KeptRequest | None:
        self._answer()
        return self.all.get(_key(asked))

    def keep(self, asked: KeyedRequest, *, job_id: str) -> KeptRequest:
        self._answer()
        with self._lock:
            found = self.all.get(_key(asked))
            if found is None:
                found = KeptRequest(job_id=job_id, fingerprint=asked.fingerprint, is_accepted=False)
                self._stored[_key(asked)] = (found, self._clock() + _KEPT)
            return found

    def mark_accepted(self, asked: KeyedRequest) -> None:
        self._answer()
        with self._lock:
            if (stored := self._stored.get(_key(asked))) is not None:
                kept, expires_at = stored
                self._stored[_key(asked)] = (replace(kept, is_accepted=True), expires_at)

    def keep_new(self, asked: Mapping[str, KeyedRequest], *, at: datetime) -> Collection[str]:  # noqa: ARG002 - the fake's clock knows
        return {job_id for job_id, each in asked.items() if self.keep(each, job_id=job_id).job_id == job_id}

    def mark_all_accepted(self, asked: Sequence[KeyedRequest]) -> None:
        for each in asked:
            self.mark_accepted(each)

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


def _key(asked: KeyedRequest) -> _Key:
    return asked.account_id, asked.owner, asked.key
