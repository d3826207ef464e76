"""Inspector: what HubSpot says of an account's token, asked once for every token and kept with the connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from pydantic import SecretStr

from worker.connections import Fingerprint, HubSpotFacts
from worker.errors import TokenRefusedError
from worker.hubspot.token_information import TokenInformation
from worker.interfaces import ConnectionStore, TokenSource, TokenStore
from worker.pages import ExportType
from worker.scopes import MissingScopes, missing_scopes


class Inspector:
    """ScopeSource, and what else is known of a connection."""

    def __init__(
        self,
        *,
        tokens: TokenStore,
        source: TokenSource,
        information: TokenInformation,
        connections: ConnectionStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._tokens = tokens
        self._source = source
        self._information = information
        self._connections = connections
        self._clock = clock

    def missing(self, account_id: str, owner: str, types: Collection[ExportType]) -> MissingScopes:
        """Name the types that lack a scope; where HubSpot tells no scopes, none."""
        granted = self.granted(account_id, owner)
        return missing_scopes(types, granted) if granted is not None else {}

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:
        """Give what HubSpot tells of the token in use."""
        return self.look(account_id, owner).scopes

    def look(self, account_id: str, owner: str) -> HubSpotFacts:
        """Give what HubSpot says of the token that is in use now, renewed if need be.

        Raises TokenNotFoundError, a HubSpotError, UnavailableError.
        """
        access_token = self._source.fresh(account_id, owner)
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
            return self._ask(account_id, owner, self._source.fresh(account_id, owner, refused=access_token))

    def _ask(self, account_id: str, owner: str, access_token: SecretStr) -> HubSpotFacts:
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
