"""The OAuth endpoints that grant access: the consent page and the token endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.oauth.token_answers import WITHOUT_REFRESH_TOKEN, WITHOUT_TOKEN, shaped
from sandbox.fake_hubspot.oauth.tokens import AccessToken, TokenStore

V1_TOKEN_PATH = "/oauth/v1/token"  # noqa: S105  # a path
TOKEN_PATHS = (V1_TOKEN_PATH, "/oauth/v3/token", "/oauth/2026-03/token", "/oauth/2026-09/token")
INFO_PREFIX = "/oauth/v1/access-tokens/"
REFRESH_PREFIX = "/oauth/v1/refresh-tokens/"
AUTHORIZE_PATH = "/oauth/authorize"
_BAD_REFRESH_TOKEN = "refresh token is invalid, expired or revoked"  # noqa: S105  # a message
_WRONG_CLIENT = "refresh token was not issued to this client"


@dataclass(frozen=True)
class RefusedGrantError(Exception):
    """A grant is refused with this answer."""

    answer: Answer


def fields(call: Call) -> Mapping[str, str]:
    """Return the grant's fields from the form body; only version 1 also accepts the query string."""
    query = dict(call.request.query) if call.request.path == V1_TOKEN_PATH else {}
    return {**query, **call.request.form()}


@dataclass(frozen=True)
class OAuth:
    """Issues tokens; the refresh token stays the same unless the account rotates it."""

    tokens: TokenStore
    accounts: Mapping[int, Account]

    def authorize(self, call: Call) -> Answer:
        """Answer the consent page as if the user had picked an account and decided at once.

        The query parameter `account` picks the account, default: the first. Redirects with a code, or with
        `error=access_denied` if the account does not consent; HubSpot itself shows a page of HTML in between.
        """
        asked = dict(call.request.query)
        redirect_uri = asked.get("redirect_uri", "")
        account = self._picked(asked.get("account"))
        if account is None or not urlsplit(redirect_uri).netloc or not asked.get("scope"):
            return errors.html(400, "Authorization failed: the address of this page is not complete")
        if account.settings.client_id not in (None, asked.get("client_id")):
            return errors.html(400, "Authorization failed: there is no app with this client id")
        outcome = {"error": "access_denied", "error_description": "User denied access"}
        if account.settings.consents:
            outcome = {"code": self.tokens.issue_code(account.hub_id, redirect_uri=redirect_uri).value}
        state = {"state": asked["state"]} if "state" in asked else {}
        return Answer(302, headers={"location": _with_query(redirect_uri, outcome | state)})

    def hub_id_of(self, call: Call) -> int | None:
        """Return the account that the token or the code in an OAuth call belongs to."""
        path = call.request.path
        if path.startswith(INFO_PREFIX):
            return _hub_id(self.tokens.access(path.removeprefix(INFO_PREFIX)))
        if path.startswith(REFRESH_PREFIX):
            return self.tokens.owner(path.removeprefix(REFRESH_PREFIX))
        if not path.startswith(TOKEN_PATHS):
            return None
        grant = fields(call)
        code = self.tokens.code(grant.get("code", ""))
        given = (grant.get("refresh_token", ""), grant.get("token", ""))
        owner = next(filter(None, map(self.tokens.owner, given)), None)
        return owner or (code.hub_id if code else _hub_id(self.tokens.access(grant.get("token", ""))))

    def token(self, call: Call) -> Answer:
        """POST to any of the token paths; every refusal is a 400, a retired version a 404."""
        if is_gone(call):
            return errors.not_found(call)
        grant = fields(call)
        try:
            require_client(grant)
            account = self._granting(call, grant)
        except RefusedGrantError as refusal:
            return refusal.answer
        return self._issue(account)

    def _picked(self, hub_id: str | None) -> Account | None:
        if hub_id is None:
            return next(iter(self.accounts.values()), None)
        return self.accounts.get(int(hub_id)) if hub_id.isdecimal() else None

    def _granting(self, call: Call, grant: Mapping[str, str]) -> Account:
        grant_type = grant.get("grant_type")
        if grant_type == "refresh_token":
            return self._by_refresh_token(grant)
        if grant_type == "authorization_code":
            return self._by_code(call, grant)
        raise _refused("unsupported_grant_type", "BAD_GRANT_TYPE", "missing or unknown grant type")

    def _by_refresh_token(self, grant: Mapping[str, str]) -> Account:
        hub_id = self.tokens.owner(grant.get("refresh_token", ""))
        account = self.accounts.get(hub_id) if hub_id is not None else None
        if account is None:
            raise _refused("invalid_grant", "BAD_REFRESH_TOKEN", _BAD_REFRESH_TOKEN)
        _require_same_client(account, grant)
        return account

    def _by_code(self, call: Call, grant: Mapping[str, str]) -> Account:
        code = self.tokens.code(grant.get("code", ""))
        account = self.accounts.get(code.hub_id) if code else None
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
        if settings.grant_shape in WITHOUT_TOKEN:
            return shaped({}, settings.grant_shape)
        token = self.tokens.issue(settings.hub_id, lifetime_s=settings.token_lifetime_s)
        rotates = settings.rotate_refresh_tokens and settings.grant_shape not in WITHOUT_REFRESH_TOKEN
        kept = None if rotates else self.tokens.refresh_token(settings.hub_id)
        fields = {
            "token_type": "bearer",
            "token_use": "access_token",
            "access_token": token.value,
            "refresh_token": kept or self.tokens.rotate(settings.hub_id),
            "expires_in": settings.token_lifetime_s,
            **({"hub_id": settings.hub_id} if settings.grants_tell_portal else {}),
            "user_id": settings.user_id,
            "scopes": settings.scopes,
        }
        return shaped(fields, settings.grant_shape)


def is_gone(call: Call) -> bool:
    """Return whether the version in the path, `/oauth/<version>/...`, is retired for the call's account."""
    return call.account is not None and call.request.path.split("/")[2] in call.account.settings.oauth_gone


def _hub_id(token: AccessToken | None) -> int | None:
    return token.hub_id if token else None


def _with_query(url: str, further: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *further.items()])))


def require_client(grant: Mapping[str, str]) -> None:
    """Require grant type and client credentials to be present. Raises RefusedGrantError."""
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


def _refused(error: str, status: str, message: str) -> RefusedGrantError:
    return RefusedGrantError(errors.refused_grant(error, status, message))
