"""TokenIntrospector: what HubSpot says of an account's token, asked once for every token, and kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from hashlib import sha256

from pydantic import SecretStr

from worker.accounts.connection import Fingerprint, TokenInfo
from worker.accounts.interfaces import ConnectionStore, TokenSource, TokenStore
from worker.errors import TokenRefusedError
from worker.hubspot.oauth.token_information import TokenInfoClient
from worker.records.scopes import MissingScopes, missing_scopes
from worker.records.types import ExportType

_MOST_KEPT = 10_000


class TokenIntrospector:
    """ScopeSource, and what else is known of a connection."""

    def __init__(
        self,
        *,
        tokens: TokenStore,
        source: TokenSource,
        information: TokenInfoClient,
        connections: ConnectionStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._tokens = tokens
        self._source = source
        self._information = information
        self._connections = connections
        self._clock = clock
        self._looked: dict[bytes, TokenInfo] = {}

    def missing(
        self, account_id: str, owner: str, types: Collection[ExportType], *, token: SecretStr | None = None
    ) -> MissingScopes:
        """Return the types that lack a scope; where HubSpot tells no scopes, none."""
        facts = self._looked.get(_key(account_id, owner, token)) if token is not None else None
        granted = self.granted(account_id, owner) if facts is None else facts.scopes
        return missing_scopes(types, granted) if granted is not None else {}

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:
        """Return the scopes of the token in use; None where HubSpot does not tell."""
        return self.look(account_id, owner).scopes

    def look(self, account_id: str, owner: str) -> TokenInfo:
        """Return what HubSpot says of the token that is in use now, renewed if need be.

        A token's scopes never change, so this process asks once. Raises TokenNotFoundError, a
        HubSpotError, UnavailableError.
        """
        access_token = self._source.get(account_id, owner)
        key = _key(account_id, owner, access_token)
        facts = self._looked.get(key)
        if facts is None:
            facts = self._look(account_id, owner, access_token)
            if facts.scopes is not None:
                self._keep(key, facts)
        return facts

    def _keep(self, key: bytes, facts: TokenInfo) -> None:
        if len(self._looked) >= _MOST_KEPT:
            self._looked.clear()  # it saves questions to the database, no more
        self._looked[key] = facts

    def _look(self, account_id: str, owner: str, access_token: SecretStr) -> TokenInfo:
        known = self._connections.find(account_id, owner)
        if (
            known is not None
            and known.facts.scopes is not None
            and known.fingerprint == self._present(account_id, owner)
        ):
            return known.facts
        try:
            return self._ask(account_id, owner, access_token)
        except TokenRefusedError:
            return self._ask(account_id, owner, self._source.get(account_id, owner, rejected=access_token))

    def _ask(self, account_id: str, owner: str, access_token: SecretStr) -> TokenInfo:
        """Ask HubSpot, and keep what it says, unless another token has been stored by then."""
        facts = self._information.of(access_token)
        token = self._tokens.find(account_id, owner)
        if token is not None and token.access_token == access_token:
            present = Fingerprint.of(token)
            self._connections.learn(account_id, owner, facts, fingerprint=present, at=self._clock())
        return facts

    def _present(self, account_id: str, owner: str) -> Fingerprint | None:
        token = self._tokens.find(account_id, owner)
        return Fingerprint.of(token) if token is not None else None


def _key(account_id: str, owner: str, token: SecretStr) -> bytes:
    return sha256(f"{account_id}\0{owner}\0{token.get_secret_value()}".encode()).digest()
