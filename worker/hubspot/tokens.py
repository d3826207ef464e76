"""RenewingTokenSource: access tokens that work now, renewed at HubSpot's token endpoint when they are about to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import msgspec
import structlog
from pydantic import SecretStr

from worker.errors import ReconnectRequiredError, RetryableHubSpotError, TokenNotFoundError
from worker.hubspot.transport import Transport
from worker.interfaces import TokenStore
from worker.tokens import RenewedToken, Token

_log = structlog.get_logger()
_LONGEST_WAIT_S = 5.0  # for another thread's renewal; after that the job waits in the database, not here
_LOCKS = 64  # accounts that share one wait for each other's renewal now and then


class _Grant(msgspec.Struct):
    """The token endpoint's answer; `refresh_token` usually is the one that was sent, but need not be."""

    access_token: Annotated[str, msgspec.Meta(min_length=1)]
    expires_in: int
    refresh_token: str | None = None


class RenewingTokenSource:
    """Reads the stored token before every call, since other programs and workers renew it as well."""

    def __init__(  # noqa: PLR0913 - a composition root passes each by name
        self,
        *,
        store: TokenStore,
        transport: Transport,
        endpoint: str,
        client_id: str,
        client_secret: SecretStr,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._transport = transport
        self._endpoint = endpoint
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._renewing = tuple(threading.Lock() for _ in range(_LOCKS))

    def fresh(self, account_id: str, owner: str, *, refused: SecretStr | None = None) -> SecretStr:
        """Give the stored access token, or renew it when it is about to end or is the one that HubSpot refused."""
        token = self._find(account_id, owner)
        usable = self._usable(token, refused)
        if usable is not None:
            return usable
        lock = self._renewing[hash((account_id, owner)) % _LOCKS]
        if not lock.acquire(timeout=_LONGEST_WAIT_S):
            raise RetryableHubSpotError("HubSpot's token endpoint keeps others waiting", retry_after_s=_LONGEST_WAIT_S)
        try:
            return self._renew_unless_done(account_id, owner, refused)
        finally:
            lock.release()

    def _renew_unless_done(self, account_id: str, owner: str, refused: SecretStr | None) -> SecretStr:
        """Renew, unless someone else has by now: another thread, another worker, or the user who connected anew."""
        token = self._find(account_id, owner)
        try:
            return self._usable(token, refused) or self._renew(token)
        except ReconnectRequiredError:
            present = self._find(account_id, owner)
            usable = self._usable(present, refused)
            if usable is None or present == token:
                raise
            return usable

    def _find(self, account_id: str, owner: str) -> Token:
        token = self._store.find(account_id, owner)
        if token is None:
            raise TokenNotFoundError
        return token

    def _usable(self, token: Token, refused: SecretStr | None) -> SecretStr | None:
        usable = token.usable_access_token(at=self._clock())
        return usable if usable != refused else None

    def _renew(self, token: Token) -> SecretStr:
        if token.refresh_token is None:
            raise ReconnectRequiredError("No refresh token is stored for this account")
        generated_at = self._clock()  # before the call: the life that HubSpot counts cannot begin earlier
        grant = self._ask(token.refresh_token)
        renewed = RenewedToken(
            access_token=SecretStr(grant.access_token),
            refresh_token=SecretStr(grant.refresh_token or token.refresh_token.get_secret_value()),
            expires_in_s=grant.expires_in,
            generated_at=generated_at,
        )
        if not self._store.save_renewed(token, renewed):
            _log.info("token_replaced_meanwhile")
            return self._usable(self._find(token.account_id, token.owner), None) or renewed.access_token
        _log.info("token_renewed", expires_in_s=grant.expires_in)
        return renewed.access_token

    def _ask(self, refresh_token: SecretStr) -> _Grant:
        """Send the refresh grant as a form in the body; HubSpot retires credentials in the query string."""
        form = [
            ("grant_type", "refresh_token"),
            ("client_id", self._client_id),
            ("client_secret", self._client_secret.get_secret_value()),
            ("refresh_token", refresh_token.get_secret_value()),
        ]
        body = self._transport.post_form(self._endpoint, form, secrets=[self._client_secret, refresh_token])
        try:
            return msgspec.json.decode(body, type=_Grant)
        except msgspec.DecodeError as error:
            raise RetryableHubSpotError("HubSpot's token endpoint gave no token", status=200) from error
