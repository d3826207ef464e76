"""In-memory tokens and leases of renewals that work, lapse by an injected clock, and may be away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from worker.accounts.token import RenewalLease, RenewedToken, Token
from worker.accounts.token_endpoint import APART_S, TOGETHER_S, GoneEndpoint
from worker.errors import StoreUnavailableError

_Key = tuple[str, str]


class InMemoryTokenStore:
    """TokenStore. How other programs spell ids and dates is a matter of documents, which this one has none of."""

    def __init__(self) -> None:
        self.is_away = False
        self._lock = threading.Lock()
        self._stored: dict[_Key, Token] = {}

    def put(self, token: Token) -> None:
        """Store a token as the program that connects accounts does."""
        self._stored[token.account_id, token.owner] = token

    def clear(self) -> None:
        """Remove all tokens, as users do who disconnect their accounts."""
        self._stored.clear()

    def find(self, account_id: str, owner: str) -> Token | None:
        self._answer()
        return self._stored.get((account_id, owner))

    def stored_among(self, keys: Collection[_Key]) -> set[_Key]:
        self._answer()
        return self._stored.keys() & set(keys)

    def readable_among(self, keys: Collection[_Key]) -> set[_Key]:
        return self.stored_among(keys)

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        self._answer()
        with self._lock:
            is_new = (account_id, owner) not in self._stored
            self._stored[account_id, owner] = Token(
                account_id=account_id,
                owner=owner,
                access_token=granted.access_token,
                refresh_token=granted.refresh_token,
                generated_at=granted.generated_at,
                expires_in_s=granted.expires_in_s,
            )
            return is_new

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        self._answer()
        with self._lock:
            stored = self._stored.get((token.account_id, token.owner))
            if stored is None or token.refresh_token is None or stored.refresh_token != token.refresh_token:
                return False
            self._stored[token.account_id, token.owner] = replace(
                stored,
                access_token=renewed.access_token,
                refresh_token=renewed.refresh_token,
                generated_at=renewed.generated_at,
                expires_in_s=renewed.expires_in_s,
            )
            return True

    def remove(self, account_id: str, owner: str) -> bool:
        self._answer()
        return self._stored.pop((account_id, owner), None) is not None

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


class InMemoryRenewalLeases:
    """RenewalLeases. `asked` counts how often someone wanted one; `when_extended` is called whenever one was kept."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self.asked = 0
        self.when_extended: Callable[[], None] = lambda: None
        self._clock = clock
        self._lock = threading.Lock()
        self._holders = count(1)
        self._held: dict[tuple[str, str, bool], tuple[RenewalLease, datetime]] = {}

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        self._answer()
        key = (account_id, owner, for_refused)
        with self._lock:
            self.asked += not for_refused
            before, expires_at = self._held.get(key, (None, None))
            if expires_at is not None and expires_at > self._clock():
                return None
            lease = RenewalLease(
                account_id=account_id,
                owner=owner,
                holder=str(next(self._holders)),
                for_refused=for_refused,
                is_taken_over=before is not None,
            )
            self._held[key] = (lease, self._clock() + timedelta(seconds=lease_s))
            return lease

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        self._answer()
        with self._lock:
            held, _ = self._held.get((lease.account_id, lease.owner, lease.for_refused), (None, None))
            if held == lease:
                self._held[lease.account_id, lease.owner, lease.for_refused] = (
                    lease,
                    self._clock() + timedelta(seconds=lease_s),
                )
                self.when_extended()

    def release(self, lease: RenewalLease) -> None:
        self._answer()
        with self._lock:
            held, _ = self._held.get((lease.account_id, lease.owner, lease.for_refused), (None, None))
            if held == lease:
                del self._held[lease.account_id, lease.owner, lease.for_refused]

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


class InMemoryTokenEndpoints:
    """TokenEndpointMemory, by an injected clock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._gone: dict[str, GoneEndpoint] = {}

    def find(self, url: str) -> GoneEndpoint | None:
        self._answer()
        return self._gone.get(url)

    def note_gone(self, url: str, *, status: int, reason: str) -> GoneEndpoint:
        self._answer()
        at, before = self._clock(), self._gone.get(url)
        is_new = before is None or at - before.last_at >= timedelta(seconds=TOGETHER_S)
        first_at = at if is_new or before is None else before.first_at
        moved_at = before.moved_at if before is not None else None
        if moved_at is None and at - first_at >= timedelta(seconds=APART_S):
            moved_at = at
        self._gone[url] = GoneEndpoint(
            url=url, status=status, reason=reason, first_at=first_at, last_at=at, moved_at=moved_at
        )
        return self._gone[url]

    def forget(self, url: str) -> None:
        self._answer()
        self._gone.pop(url, None)

    def known(self) -> list[GoneEndpoint]:
        self._answer()
        return list(self._gone.values())

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError
