"""Connector: exchanges an authorisation code for a token and stores that: the account is connected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog
from pydantic import SecretStr

from worker.connections import Fingerprint, HubSpotFacts
from worker.errands import Connected, ExchangeCode
from worker.errors import FatalHubSpotError, HubSpotError, StoreUnavailableError
from worker.hubspot.token_endpoint import TokenEndpoint
from worker.hubspot.token_information import TokenInformation
from worker.interfaces import ConnectionStore, TokenStore
from worker.tokens import RenewedToken

_log = structlog.get_logger()


class Connector:
    """Connects accounts. A code is good once, so nothing here is tried twice but the writing."""

    def __init__(
        self,
        *,
        endpoint: TokenEndpoint,
        information: TokenInformation,
        tokens: TokenStore,
        connections: ConnectionStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._endpoint = endpoint
        self._information = information
        self._tokens = tokens
        self._connections = connections
        self._clock = clock

    def connect(self, account_id: str, owner: str, question: ExchangeCode, *, code: SecretStr) -> Connected:
        """Exchange, store, and tell whose token it is.

        Raises a HubSpotError with nothing stored, StoreUnavailableError when a token that HubSpot gave is lost.
        """
        generated_at = self._clock()
        grant = self._endpoint.exchange(code, redirect_uri=question.redirect_uri)
        if not grant.refresh_token:
            raise FatalHubSpotError("HubSpot's token endpoint gave no refresh token", status=200)
        granted = RenewedToken(
            access_token=SecretStr(grant.access_token),
            refresh_token=SecretStr(grant.refresh_token),
            expires_in_s=grant.expires_in,
            generated_at=generated_at,
        )
        self._store(account_id, owner, granted)
        facts = self._ask_about(granted, grant.facts)
        self._connections.learn(account_id, owner, facts, fingerprint=Fingerprint.of(granted), at=generated_at)
        _log.info("account_connected", account_id=account_id, owner=owner, hub_id=facts.hub_id)
        return Connected(facts=facts)

    def _store(self, account_id: str, owner: str, granted: RenewedToken) -> None:
        """Write, and try a second time: what HubSpot gave is nowhere else."""
        try:
            self._tokens.connect(account_id, owner, granted)
        except StoreUnavailableError:
            _log.warning("connection_not_written_yet")
            self._tokens.connect(account_id, owner, granted)

    def _ask_about(self, granted: RenewedToken, said: HubSpotFacts) -> HubSpotFacts:
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
