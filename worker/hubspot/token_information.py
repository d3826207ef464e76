"""TokenInformation: HubSpot's own word on an access token: whose it is, and what it may read."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from worker.connections import HubSpotFacts
from worker.errors import FatalHubSpotError, RetryableHubSpotError, TokenRefusedError
from worker.hubspot.facts import error_in, facts_of, flag_of, read_object
from worker.hubspot.transport import Transport

_V1_TOKEN = "/oauth/v1/token"  # noqa: S105 - a path
_UNKNOWN_TOKEN = frozenset({400, 404})
_NOT_LIVE = "HubSpot does not know the access token, or it has ended"


class TokenInformation:
    """Asks beside the token endpoint: version 1 has an address for each token, all later ones an introspection."""

    def __init__(self, *, transport: Transport, token_url: str, client_id: str, client_secret: SecretStr) -> None:
        self._transport = transport
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret

    def of(self, access_token: SecretStr) -> HubSpotFacts:
        """Do one call. Raises a HubSpotError, TokenRefusedError when the token is not a live one."""
        address = urlsplit(self._token_url)
        path = address.path.rstrip("/")
        is_v1 = path.endswith(_V1_TOKEN)
        body = (
            self._look_up(urlunsplit(address._replace(path=path.removesuffix("token") + "access-tokens")), access_token)
            if is_v1
            else self._introspect(urlunsplit(address._replace(path=f"{path}/introspect")), access_token)
        )
        said = read_object(body)
        if said is None:
            raise RetryableHubSpotError("HubSpot's answer is no token information", status=200)
        if flag_of(said.get("active")) is False:
            raise TokenRefusedError(_NOT_LIVE, status=200)
        facts = facts_of(said)
        failed = error_in(said, secrets=[self._client_secret, access_token]) if facts == HubSpotFacts() else None
        if failed is not None:
            raise failed
        return facts

    def _look_up(self, url: str, access_token: SecretStr) -> bytes:
        try:
            return self._transport.get_of_token(url, access_token)
        except FatalHubSpotError as error:
            if error.status not in _UNKNOWN_TOKEN:
                raise
            raise TokenRefusedError(
                _NOT_LIVE, status=error.status, body=error.body, correlation_id=error.correlation_id
            ) from error

    def _introspect(self, url: str, access_token: SecretStr) -> bytes:
        form = [
            ("client_id", self._client_id),
            ("client_secret", self._client_secret.get_secret_value()),
            ("token", access_token.get_secret_value()),
            ("token_type_hint", "access_token"),
        ]
        return self._transport.post_form(url, form, secrets=[self._client_secret, access_token])
