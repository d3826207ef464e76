"""The OAuth endpoints that introspect and revoke tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.oauth.grants import INFO_PREFIX, REFRESH_PREFIX, RefusedGrantError, is_gone, require_client
from sandbox.fake_hubspot.oauth.tokens import TokenStore


@dataclass(frozen=True)
class Introspection:
    """Version 1 takes the token in the path, all later versions in a form."""

    tokens: TokenStore
    accounts: Mapping[int, Account]

    def info(self, call: Call) -> Answer:
        """GET /oauth/v1/access-tokens/{token}."""
        info = self._access_info(call, call.request.path.removeprefix(INFO_PREFIX))
        return errors.not_found(call) if info is None or is_gone(call) else Answer.json(200, info)

    def refresh_info(self, call: Call) -> Answer:
        """GET /oauth/v1/refresh-tokens/{token}."""
        info = self._refresh_info(call.request.path.removeprefix(REFRESH_PREFIX))
        return errors.not_found(call) if info is None or is_gone(call) else Answer.json(200, info)

    def delete_refresh_token(self, call: Call) -> Answer:
        """DELETE /oauth/v1/refresh-tokens/{token}; access tokens issued with it stay valid."""
        hub_id = self.tokens.owner(call.request.path.removeprefix(REFRESH_PREFIX))
        if hub_id is None or is_gone(call):
            return errors.not_found(call)
        self.tokens.revoke(hub_id)
        return Answer(204)

    def introspect(self, call: Call) -> Answer:
        """POST {token path}/introspect of later versions: takes either kind of token and the app's credentials.

        An unknown token is answered 200 with `active: false`.
        """
        refusal, value = self._token_in_form(call)
        if refusal is not None:
            return refusal
        info = self._access_info(call, value)
        info = {**info, **self._additional_fields(call, info)} if info is not None else self._refresh_info(value)
        if info is None:
            return Answer.json(200, {"active": False})
        return Answer.json(200, {"active": True, "token_use": f"{info['token_type']}_token", "app_id": 1, **info})

    def revoke(self, call: Call) -> Answer:
        """POST {token path}/revoke of later versions: takes either kind of token, unknown ones included.

        HubSpot's specification names no success status; 204 is what HubSpot uses elsewhere for an empty answer.
        """
        refusal, value = self._token_in_form(call)
        if refusal is not None:
            return refusal
        hub_id = self.tokens.owner(value)
        if hub_id is not None:
            self.tokens.revoke(hub_id)
        self.tokens.end(value)
        return Answer(204)

    def _token_in_form(self, call: Call) -> tuple[Answer | None, str]:
        form = call.request.form()
        if is_gone(call):
            return errors.not_found(call), ""
        try:
            require_client({"grant_type": "introspection", **form})
        except RefusedGrantError as refusal:
            return refusal.answer, ""
        return None, form.get("token", "")

    def _access_info(self, call: Call, value: str) -> dict[str, object] | None:
        token = self.tokens.access(value)
        account = self.accounts.get(token.hub_id) if token else None
        if token is None or account is None or token.expires_at <= call.at:
            return None
        left = int(token.expires_at - call.at)
        return {**_owner_fields(account, value), "app_id": 1, "expires_in": left, "token_type": "access"}

    def _refresh_info(self, value: str) -> dict[str, object] | None:
        hub_id = self.tokens.owner(value)
        account = self.accounts.get(hub_id) if hub_id is not None else None
        if account is None:
            return None
        return {**_owner_fields(account, value), "client_id": _client_id(account), "token_type": "refresh"}

    def _additional_fields(self, call: Call, info: Mapping[str, object]) -> dict[str, object]:
        """Return the additional fields that the later specification requires for an access token."""
        account = self.accounts[self.tokens.access(str(info["token"])).hub_id]  # type: ignore[union-attr]  # it exists
        return {
            "client_id": _client_id(account),
            "is_private_distribution": False,
            "signed_access_token": _signed(account, call, left_s=info["expires_in"]),
        }


def _owner_fields(account: Account, value: str) -> dict[str, object]:
    settings = account.settings
    return {
        "token": value,
        "user": f"user{settings.user_id}@example.test",
        "hub_domain": f"hub{settings.hub_id}.example.test",
        "scopes": settings.scopes,
        **({"hub_id": settings.hub_id} if settings.information_tells_portal else {}),
        "user_id": settings.user_id,
    }


def _client_id(account: Account) -> str:
    return account.settings.client_id or "app"


def _signed(account: Account, call: Call, *, left_s: object) -> dict[str, object]:
    """Return every field of SignedAccessToken, with empty signatures."""
    settings = account.settings
    return {
        "appId": 1,
        "appInstallId": f"install-{settings.hub_id}",
        "audience": "hubapi",
        "expiresAt": int((call.at + float(str(left_s))) * 1000),
        "hubId": settings.hub_id,
        "hublet": "na1",
        "installingUserId": settings.user_id,
        "isPrivateDistribution": False,
        "isServiceAccount": False,
        "isUserLevel": False,
        "newSignature": "",
        "scopeToScopeGroupPks": "",
        "scopes": " ".join(settings.scopes),
        "signature": "",
        "trialScopeToScopeGroupPks": "",
        "trialScopes": "",
        "userId": settings.user_id,
    }
