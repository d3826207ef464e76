"""ConnectedPortals: which HubSpot portal an account is connected to, according to what is stored."""

from __future__ import annotations

from contextlib import suppress

from worker.accounts.connection import Connection, Fingerprint
from worker.accounts.interfaces import ConnectionStore, TokenStore
from worker.accounts.portal_interfaces import PortalStore
from worker.errors import TokenUnreadableError


class ConnectedPortals:
    """PresentPortals: stored connections, compared with the tokens that are stored now."""

    def __init__(self, *, connections: ConnectionStore, tokens: TokenStore, portals: PortalStore) -> None:
        self._connections = connections
        self._tokens = tokens
        self._portals = portals

    def connected(self, account_id: str, owner: str) -> int | None:
        return self._of_stored_token(self._connections.find(account_id, owner), account_id, owner)

    def present(self, account_id: str, owner: str) -> int | None:
        """Fall back to the portal of the owner's last connection, then to the one that the account used last."""
        known = self._connections.find(account_id, owner)
        with suppress(
            TokenUnreadableError
        ):  # the token cannot be compared without its key; the fallbacks do not need it
            if (hub_id := self._of_stored_token(known, account_id, owner)) is not None:
                return hub_id
        if known is not None and known.facts.hub_id is not None:
            return known.facts.hub_id
        return next((portal.hub_id for portal in self._portals.seen_by(account_id)), None)

    def _of_stored_token(self, known: Connection | None, account_id: str, owner: str) -> int | None:
        if known is None or known.facts.hub_id is None:
            return None
        token = self._tokens.find(account_id, owner)
        return known.about(Fingerprint.of(token)).facts.hub_id if token is not None else None
