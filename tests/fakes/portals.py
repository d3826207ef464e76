"""InMemoryPortalStore: the portals of accounts, and may be away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from worker.accounts.portal_interfaces import Portal
from worker.errors import StoreUnavailableError

_Key = tuple[str, int]


class InMemoryPortalStore:
    """PortalStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._seen: dict[_Key, Portal] = {}
        self._removing: dict[_Key, datetime] = {}

    def see(self, account_id: str, hub_id: int) -> None:
        self._answer()
        now = self._clock()
        before = self._seen.get((account_id, hub_id), Portal(hub_id=hub_id, first_seen_at=now, last_seen_at=now))
        self._seen[account_id, hub_id] = replace(before, last_seen_at=now)

    def seen_by(self, account_id: str) -> list[Portal]:
        self._answer()
        found = [each for key, each in self._seen.items() if key[0] == account_id and key not in self._removing]
        return sorted(found, key=lambda portal: portal.last_seen_at, reverse=True)

    def start_removal(self, account_id: str, hub_id: int) -> bool:
        self._answer()
        key = (account_id, hub_id)
        if key not in self._seen or key in self._removing:
            return False
        self._removing[key] = self._clock()
        return True

    def removals(self, *, limit: int) -> list[tuple[str, int]]:
        self._answer()
        return sorted(self._removing, key=lambda key: self._removing[key])[:limit]

    def finish_removal(self, account_id: str, hub_id: int) -> None:
        self._answer()
        since = self._removing.pop((account_id, hub_id), None)
        if since is None:
            return
        seen = self._seen.pop((account_id, hub_id))
        if seen.last_seen_at > since:
            self._seen[account_id, hub_id] = replace(seen, first_seen_at=seen.last_seen_at)

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError
