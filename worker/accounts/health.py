"""TokenHealth: which connections need their users to reconnect, without asking HubSpot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from worker.accounts.connection import Connection, Fingerprint, Refusal
from worker.accounts.interfaces import ConnectionStore, TokenStore
from worker.errors import ReconnectRequiredError, TokenNotFoundError, TokenUnreadableError

_MOST_COUNTED = 1000  # more would raise the same alarm


class TokenHealth:
    """ConnectionHealth: stored refusals, compared with the tokens that are stored now."""

    def __init__(self, *, connections: ConnectionStore, tokens: TokenStore) -> None:
        self._connections = connections
        self._tokens = tokens

    def refusal(self, account_id: str, owner: str) -> Refusal | None:
        known = self._connections.find(account_id, owner)
        if known is None or known.refusal is None:
            return None
        token = self._tokens.find(account_id, owner)
        return known.about(Fingerprint.of(token)).refusal if token is not None else None

    def obstacles(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Query all of them at once, and only those with a refusal one by one."""
        lacking = set(keys) - self._tokens.stored_among(keys)
        refused = {(each.account_id, each.owner) for each in self._connections.refused_among(keys)} - lacking
        refusals = {key: found for key in refused if (found := self._present_refusal(*key)) is not None}
        missing = TokenNotFoundError()
        return {
            **dict.fromkeys(lacking, f"{missing.message} ({missing.code})"),
            **{key: f"{refusal.reason} ({ReconnectRequiredError.code})" for key, refusal in refusals.items()},
        }

    def count_refused(self) -> int:
        """Count at most 1,000, and delete refusals of accounts that have been reconnected."""
        refused = self._connections.list_refused(most=_MOST_COUNTED)
        outdated = [connection for connection in refused if self._is_outdated(connection)]
        for connection in outdated:
            self._connections.forget(connection)
        return len(refused) - len(outdated)

    def _present_refusal(self, account_id: str, owner: str) -> Refusal | None:
        with suppress(TokenUnreadableError):  # not a refusal: its key is missing, which the operator restores
            return self.refusal(account_id, owner)
        return None

    def _is_outdated(self, connection: Connection) -> bool:
        try:
            return self.refusal(connection.account_id, connection.owner) is None
        except TokenUnreadableError:  # without its key it cannot be told from the refused one
            return False
