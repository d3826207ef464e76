"""TokenEndpoint: HubSpot's token endpoint, asked with a refresh token or with an authorisation code."""

from __future__ import annotations

from typing import Protocol

from pydantic import SecretStr

from worker.errors import (
    CodeRefusedError,
    FatalHubSpotError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    TokenRefusedError,
)
from worker.hubspot.oauth.grants import Grant, grant_of
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_facts import error_in, read_object
from worker.hubspot.transport import Transport

_START_AGAIN = "A code is good once, for some minutes, and for the address that it was sent to: begin again at /connect"


class Renewer(Protocol):
    """Asks HubSpot for an access token."""

    def renew(self, refresh_token: SecretStr) -> Grant:
        """Send a refresh token. Raises a HubSpotError."""


class TokenEndpoint:
    """Speaks for one HubSpot app."""

    def __init__(
        self, *, transport: Transport, addresses: TokenAddresses, client_id: str, client_secret: SecretStr
    ) -> None:
        self._transport = transport
        self._addresses = addresses
        self._client_id = client_id
        self._client_secret = client_secret

    def renew(self, refresh_token: SecretStr) -> Grant:
        """Send the refresh grant as a form in the body; HubSpot retires credentials in the query string.

        Raises a HubSpotError, ReconnectRequiredError when the refresh token is dead. A 401 is about the app here, whose
        id or secret HubSpot does not know: there is no access token to renew.
        """
        given = [("refresh_token", refresh_token.get_secret_value())]
        return self._ask("refresh_token", given, secret=refresh_token)

    def exchange(self, code: SecretStr, *, redirect_uri: str) -> Grant:
        """Send the authorisation code that HubSpot gave to `redirect_uri`, which has to be said to the letter.

        Raises a HubSpotError, CodeRefusedError when the code is worth nothing (any more).
        """
        given = [("code", code.get_secret_value()), ("redirect_uri", redirect_uri)]
        try:
            return self._ask("authorization_code", given, secret=code)
        except ReconnectRequiredError as error:  # HubSpot calls both grants invalid_grant
            raise CodeRefusedError(
                f"code: HubSpot does not take it: {error.message}",
                status=error.status,
                body=error.body,
                correlation_id=error.correlation_id,
                details=_START_AGAIN,
            ) from error

    def _ask(self, grant_type: str, given: list[tuple[str, str]], *, secret: SecretStr) -> Grant:
        form = [
            ("grant_type", grant_type),
            ("client_id", self._client_id),
            ("client_secret", self._client_secret.get_secret_value()),
            *given,
        ]
        secrets = [self._client_secret, secret]
        try:
            body = self._addresses.ask(lambda url: self._transport.post_form(url, form, secrets=secrets))
        except TokenRefusedError as error:
            raise FatalHubSpotError(
                error.message, status=error.status, body=error.body, correlation_id=error.correlation_id
            ) from error
        said = read_object(body)
        grant = grant_of(said)
        if grant is None:
            failed = error_in(said, secrets=secrets)
            raise failed or RetryableHubSpotError("HubSpot's token endpoint gave no token", status=200)
        return grant
