"""The OAuth endpoints: tokens for a refresh token or a code, and information about tokens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.portal import errors
from sandbox.portal.accounts import Account
from sandbox.portal.call import Call
from sandbox.portal.messages import Answer
from sandbox.portal.tokens import TokenBook

V1_TOKEN_PATH = "/oauth/v1/token"  # noqa: S105  # a path
TOKEN_PATHS = (V1_TOKEN_PATH, "/oauth/v3/token", "/oauth/2026-03/token", "/oauth/2026-09/token")
INFO_PREFIX = "/oauth/v1/access-tokens/"
_BAD_REFRESH_TOKEN = "refresh token is invalid, expired or revoked"  # noqa: S105  # a message
_WRONG_CLIENT = "refresh token was not issued to this client"


@dataclass(frozen=True)
class _RefusedGrantError(Exception):
    answer: Answer


def fields(call: Call) -> Mapping[str, str]:
    """Read the grant: from the form body; version 1 alone also takes the query string, which it is retired for."""
    query = dict(call.request.query) if call.request.path == V1_TOKEN_PATH else {}
    return {**query, **call.request.form()}


@dataclass(frozen=True)
class OAuth:
    """Issues access tokens; an account's refresh token comes back unchanged unless the account rotates it."""

    tokens: TokenBook
    account: Callable[[int], Account | None]

    def token(self, call: Call) -> Answer:
        """POST to any of the token paths; every refusal is a 400."""
        grant = fields(call)
        try:
            _require_client(grant)
            account = self._granting(call, grant)
        except _RefusedGrantError as refusal:
            return refusal.answer
        return self._issue(account)

    def info(self, call: Call) -> Answer:
        """GET /oauth/v1/access-tokens/{token}: whose the token is and for how long."""
        token = self.tokens.access(call.request.path.removeprefix(INFO_PREFIX))
        account = self.account(token.hub_id) if token else None
        if token is None or account is None or token.expires_at <= call.at:
            return errors.not_found(call)
        settings = account.settings
        return Answer.json(
            200,
            {
                "token": token.value,
                "user": f"user{settings.user_id}@example.test",
                "hub_domain": f"hub{settings.hub_id}.example.test",
                "scopes": settings.scopes,
                "hub_id": settings.hub_id,
                "app_id": 1,
                "expires_in": int(token.expires_at - call.at),
                "user_id": settings.user_id,
                "token_type": "access",
            },
        )

    def _granting(self, call: Call, grant: Mapping[str, str]) -> Account:
        grant_type = grant.get("grant_type")
        if grant_type == "refresh_token":
            return self._by_refresh_token(grant)
        if grant_type == "authorization_code":
            return self._by_code(call, grant)
        raise _refused("unsupported_grant_type", "BAD_GRANT_TYPE", "missing or unknown grant type")

    def _by_refresh_token(self, grant: Mapping[str, str]) -> Account:
        hub_id = self.tokens.owner(grant.get("refresh_token", ""))
        account = self.account(hub_id) if hub_id is not None else None
        if account is None:
            raise _refused("invalid_grant", "BAD_REFRESH_TOKEN", _BAD_REFRESH_TOKEN)
        _require_same_client(account, grant)
        return account

    def _by_code(self, call: Call, grant: Mapping[str, str]) -> Account:
        code = self.tokens.code(grant.get("code", ""))
        account = self.account(code.hub_id) if code else None
        if code is None or account is None:
            raise _refused("invalid_grant", "BAD_AUTH_CODE", "missing or unknown auth code")
        if code.expires_at <= call.at:
            raise _refused("invalid_grant", "EXPIRED_AUTH_CODE", "auth code is expired")
        if code.redirect_uri not in (None, grant.get("redirect_uri")):
            raise _refused("invalid_grant", "MISMATCH_REDIRECT_URI_AUTH_CODE", "redirect URI does not match auth code")
        _require_same_client(account, grant)
        self.tokens.spend_code(code.value)
        return account

    def _issue(self, account: Account) -> Answer:
        settings = account.settings
        token = self.tokens.issue(settings.hub_id, lifetime_s=settings.token_lifetime_s)
        kept = None if settings.rotate_refresh_tokens else self.tokens.refresh_token(settings.hub_id)
        return Answer.json(
            200,
            {
                "token_type": "bearer",
                "token_use": "access_token",
                "access_token": token.value,
                "refresh_token": kept or self.tokens.rotate(settings.hub_id),
                "expires_in": settings.token_lifetime_s,
                "hub_id": settings.hub_id,
                "user_id": settings.user_id,
                "scopes": settings.scopes,
            },
        )


def _require_client(grant: Mapping[str, str]) -> None:
    if not grant.get("grant_type"):
        raise _refused("invalid_request", "BAD_GRANT_TYPE", "missing or unknown grant type")
    if not grant.get("client_id"):
        raise _refused("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id")
    if not grant.get("client_secret"):
        raise _refused("invalid_client", "BAD_CLIENT_SECRET", "missing or invalid client secret")


def _require_same_client(account: Account, grant: Mapping[str, str]) -> None:
    if account.settings.client_id not in (None, grant["client_id"]):
        raise _refused("invalid_grant", "BAD_REFRESH_TOKEN", _WRONG_CLIENT)
    if account.settings.client_secret not in (None, grant["client_secret"]):
        raise _refused("invalid_client", "BAD_CLIENT_SECRET", "missing or invalid client secret")


def _refused(error: str, status: str, message: str) -> _RefusedGrantError:
    return _RefusedGrantError(errors.refused_grant(error, status, message))
