"""TokenInfoClient: HubSpot's own word on an access token: whose it is, and what it may read."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from worker.accounts.connection import TokenInfo
from worker.errors import FatalHubSpotError, HubSpotError, RetryableHubSpotError, TokenRefusedError
from worker.hubspot.oauth.token_addresses import TokenAddresses, gone, is_gone
from worker.hubspot.oauth.token_facts import error_in, facts_of, flag_of, read_object
from worker.hubspot.transport import Transport

_V1_TOKEN = "/oauth/v1/token"  # noqa: S105 - a path
_BAD_REQUEST, _UNAUTHORIZED = 400, 401
_NOT_LIVE = "HubSpot does not know the access token, or it has ended"


class TokenInfoClient:
    """Asks beside the token endpoint: version 1 has an address for each token, all later ones an introspection."""

    def __init__(
        self, *, transport: Transport, addresses: TokenAddresses, client_id: str, client_secret: SecretStr
    ) -> None:
        self._transport = transport
        self._addresses = addresses
        self._client_id = client_id
        self._client_secret = client_secret

    def of(self, access_token: SecretStr) -> TokenInfo:
        """Ask at the token endpoint that is in use, and at its other version where there is no answer to be had.

        Raises a HubSpotError, TokenRefusedError when the token is not a live one.
        """
        first, *others = self._addresses.in_order()
        try:
            return self._ask(first, access_token)
        except HubSpotError as error:
            if not is_gone(error):
                raise
            missing = error
        for other in others:
            try:
                return self._ask(other, access_token)
            except HubSpotError as error:
                if isinstance(error, TokenRefusedError) or not (is_gone(error) or _is_v1(first)):
                    raise
        # Version 1 answers 404 for a token that it does not know as well, which it mostly means by it.
        raise _not_live(missing) if any(map(_is_v1, [first, *others])) else gone(missing)

    def _ask(self, url: str, access_token: SecretStr) -> TokenInfo:
        try:
            body = self._look_up(url, access_token) if _is_v1(url) else self._introspect(url, access_token)
        except TokenRefusedError as error:
            if error.status != _UNAUTHORIZED:
                raise
            # It says nothing of the token: here it is about the app, whose id or secret HubSpot does not know.
            raise FatalHubSpotError(
                error.message, status=error.status, body=error.body, correlation_id=error.correlation_id
            ) from error
        said = read_object(body)
        if said is None:
            raise RetryableHubSpotError("HubSpot's answer is no token information", status=200)
        if flag_of(said.get("active")) is False:
            raise TokenRefusedError(_NOT_LIVE, status=200)
        facts = facts_of(said)
        failed = error_in(said, secrets=[self._client_secret, access_token]) if facts == TokenInfo() else None
        if failed is not None:
            raise failed
        return facts

    def _look_up(self, token_url: str, access_token: SecretStr) -> bytes:
        try:
            return self._transport.get_of_token(_beside(token_url, "access-tokens"), access_token)
        except FatalHubSpotError as error:
            if error.status != _BAD_REQUEST:
                raise
            raise _not_live(error) from error

    def _introspect(self, token_url: str, access_token: SecretStr) -> bytes:
        form = [
            ("client_id", self._client_id),
            ("client_secret", self._client_secret.get_secret_value()),
            ("token", access_token.get_secret_value()),
            ("token_type_hint", "access_token"),
        ]
        url = _beside(token_url, "token/introspect")
        return self._transport.post_form(url, form, secrets=[self._client_secret, access_token])


def _is_v1(token_url: str) -> bool:
    return urlsplit(token_url).path.rstrip("/").endswith(_V1_TOKEN)


def _beside(token_url: str, name: str) -> str:
    address = urlsplit(token_url)
    return urlunsplit(address._replace(path=f"{address.path.rstrip('/').removesuffix('token')}{name}"))


def _not_live(error: HubSpotError) -> TokenRefusedError:
    return TokenRefusedError(_NOT_LIVE, status=error.status, body=error.body, correlation_id=error.correlation_id)
