"""InMemoryConnectionStore: what is known of connections, and may be away."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime

from worker.accounts.connection import Connection, Fingerprint, Refusal, TokenInfo
from worker.errors import StoreUnavailableError


class InMemoryConnectionStore:
    """ConnectionStore."""

    def __init__(self) -> None:
        self.is_away = False
        self._lock = threading.Lock()
        self._stored: dict[tuple[str, str], Connection] = {}

    def find(self, account_id: str, owner: str) -> Connection | None:
        self._answer()
        return self._stored.get((account_id, owner))

    def learn(self, account_id: str, owner: str, facts: TokenInfo, *, fingerprint: Fingerprint, at: datetime) -> None:
        self._answer()
        with self._lock:
            before = self._stored.get((account_id, owner))
            known = asdict(before.facts) if before is not None and _is_of_grant(before, fingerprint) else {}
            said = {name: value for name, value in asdict(facts).items() if value is not None}
            self._stored[account_id, owner] = Connection(
                account_id=account_id,
                owner=owner,
                facts=TokenInfo(**known | said),
                fingerprint=fingerprint,
                checked_at=at,
            )

    def accept(self, account_id: str, owner: str) -> None:
        self._answer()
        with self._lock:
            if (account_id, owner) in self._stored:
                self._stored[account_id, owner] = replace(self._stored[account_id, owner], refusal=None)

    def refuse(self, account_id: str, owner: str, refusal: Refusal) -> None:
        self._answer()
        with self._lock:
            before = self._stored.get((account_id, owner), Connection(account_id=account_id, owner=owner))
            earlier = before.refusal if before.refusal is not None else refusal
            since = earlier.since if earlier.token == refusal.token else refusal.since
            self._stored[account_id, owner] = replace(before, refusal=replace(refusal, since=since))

    def ask_again(self, account_id: str, owner: str) -> None:
        self._answer()
        with self._lock:
            before = self._stored.get((account_id, owner))
            if before is not None and before.refusal is not None:
                self._stored[account_id, owner] = replace(before, refusal=replace(before.refusal, asked_at=None))

    def forget(self, connection: Connection) -> None:
        self._answer()
        with self._lock:
            before = self._stored.get((connection.account_id, connection.owner))
            if before is None or before.refusal is None or connection.refusal is None:
                return
            if before.refusal.token == connection.refusal.token:
                self._stored[connection.account_id, connection.owner] = replace(before, refusal=None)

    def remove(self, account_id: str, owner: str) -> None:
        self._answer()
        self._stored.pop((account_id, owner), None)

    def of_portal(self, account_id: str, hub_id: int) -> list[Connection]:
        self._answer()
        found = [each for key, each in self._stored.items() if key[0] == account_id]
        return [each for each in found if each.facts.hub_id == hub_id]

    def list_refused(self, *, most: int) -> list[Connection]:
        self._answer()
        found = [each for each in self._stored.values() if each.refusal is not None]
        return sorted(found, key=_since)[:most]

    def refused_among(self, keys: Collection[tuple[str, str]]) -> list[Connection]:
        self._answer()
        return [each for key, each in self._stored.items() if key in keys and each.refusal is not None]

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


def _is_of_grant(connection: Connection, fingerprint: Fingerprint) -> bool:
    return connection.fingerprint is not None and connection.fingerprint.grant == fingerprint.grant


def _since(connection: Connection) -> datetime:
    assert connection.refusal is not None
    return connection.refusal.since
