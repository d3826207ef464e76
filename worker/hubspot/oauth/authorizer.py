"""CodeExchanger: exchanges an authorisation code for a token and stores that: the account is connected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import count

import structlog
from pydantic import SecretStr

from worker.accounts.connection import Fingerprint, TokenInfo
from worker.accounts.interfaces import ConnectionStore, TokenStore
from worker.accounts.portal_interfaces import PortalStore
from worker.accounts.token import RenewedToken, Token
from worker.errors import FatalHubSpotError, HubSpotError, StoreUnavailableError, TokenUnreadableError
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_information import TokenInfoClient
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens, Written
from worker.rpc.requests import Connected, ExchangeCode

_log = structlog.get_logger()

_WRITTEN_WITHIN_S = 900.0  # as long as its RPC request is known; a user who has heard nothing by then has begun again
_PATIENCE_S = 10.0  # of the user who waits: a new primary is there by then
_UNREADABLE = "unreadable"


class CodeExchanger:
    """Connects accounts. A code is good once, so nothing here is retried but the write.

    What cannot be written is kept for 15 minutes: nobody hears of it, but the account is connected once MongoDB is
    back, unless another token has been stored for it by then.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        endpoint: TokenEndpoint,
        information: TokenInfoClient,
        tokens: TokenStore,
        connections: ConnectionStore,
        unwritten: UnwrittenTokens,
        portals: PortalStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._endpoint = endpoint
        self._information = information
        self._tokens = tokens
        self._connections = connections
        self._unwritten = unwritten
        self._portals = portals
        self._clock = clock

    def connect(self, account_id: str, owner: str, question: ExchangeCode, *, code: SecretStr) -> Connected:
        """Exchange the code, store the token, and return whose it is.

        Raises a HubSpotError with nothing stored, StoreUnavailableError when nothing is stored yet.
        """
        before = self._grant_stored(account_id, owner)  # without MongoDB the code is not spent
        generated_at = self._clock()
        grant = self._endpoint.exchange(code, redirect_uri=question.redirect_uri)
        if not grant.refresh_token:
            raise FatalHubSpotError("HubSpot's token endpoint gave no refresh token", status=200)
        granted = RenewedToken(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_in_s=grant.expires_in_s,
            generated_at=generated_at,
        )
        self._store(account_id, owner, granted, before=before)
        facts = self._ask_about(granted, grant.facts)
        self._connections.learn(account_id, owner, facts, fingerprint=Fingerprint.of(granted), at=generated_at)
        if facts.hub_id is not None:
            self._portals.see(account_id, facts.hub_id)
        _log.info("account_connected", account_id=account_id, owner=owner, hub_id=facts.hub_id)
        return Connected(facts=facts)

    def _store(self, account_id: str, owner: str, granted: RenewedToken, *, before: str | None) -> None:
        """Write, whatever is there; from the second time on not over what someone else has stored since."""
        tries, kept = count(), self._unwritten.find(account_id, owner)
        older_or_ours = {before, *(Fingerprint.of(each).grant for each in (kept, granted) if each is not None)}

        def write() -> bool:
            if next(tries) and self._grant_stored(account_id, owner) not in older_or_ours:
                return False
            self._tokens.connect(account_id, owner, granted)
            return True

        token = granted.replacing(Token.missing(account_id, owner))
        written = self._unwritten.write(token, write, within_s=_WRITTEN_WITHIN_S, patience_s=_PATIENCE_S)
        if written is Written.NOT_YET:
            raise StoreUnavailableError

    def _grant_stored(self, account_id: str, owner: str) -> str | None:
        """Return what tells one stored connection from another."""
        try:
            token = self._tokens.find(account_id, owner)
        except TokenUnreadableError:  # connecting anew is the way out of that
            return _UNREADABLE
        return Fingerprint.of(token).grant if token is not None else None

    def _ask_about(self, granted: RenewedToken, said: TokenInfo) -> TokenInfo:
        """Ask for the user's name, which the token endpoint does not tell; the account is connected without it."""
        try:
            told = self._information.of(granted.access_token)
        except HubSpotError as error:
            _log.warning("token_information_not_given", error=error.message, hubspot_status=error.status)
            return said
        return replace(
            said,
            hub_id=told.hub_id or said.hub_id,
            user_id=told.user_id or said.user_id,
            user=told.user,
            scopes=told.scopes if told.scopes is not None else said.scopes,
        )
