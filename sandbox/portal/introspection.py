"""The OAuth endpoints about tokens that were given: whose they are, and their revocation."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.portal import errors
from sandbox.portal.accounts import Account
from sandbox.portal.call import Call
from sandbox.portal.messages import Answer
from sandbox.portal.oauth import INFO_PREFIX, REFRESH_PREFIX, RefusedGrantError, is_gone, require_client
from sandbox.portal.tokens import TokenBook


@dataclass(frozen=True)
class Introspection:
    """Version 1 has an address for each token, all later versions take tokens in a form."""

    tokens: TokenBook
    accounts: Mapping[int, Account]

    def info(self, call: Call) -> Answer:
        """GET /oauth/v1/access-tokens/{token}: whose the token is and for how long."""
        told = self._tell_access(call, call.request.path.removeprefix(INFO_PREFIX))
        return errors.not_found(call) if told is None or is_gone(call) else Answer.json(200, told)

    def refresh_info(self, call: Call) -> Answer:
        """GET /oauth/v1/refresh-tokens/{token}: whose the token is, and which app's."""
        told = self._tell_refresh(call.request.path.removeprefix(REFRESH_PREFIX))
        return errors.not_found(call) if told is None or is_gone(call) else Answer.json(200, told)

    def delete_refresh_token(self, call: Call) -> Answer:
        """DELETE /oauth/v1/refresh-tokens/{token}: access tokens that it has given live on."""
        hub_id = self.tokens.owner(call.request.path.removeprefix(REFRESH_PREFIX))
        if hub_id is None or is_gone(call):
            return errors.not_found(call)
        self.tokens.revoke(hub_id)
        return Answer(204)

    def introspect(self, call: Call) -> Answer:
        """POST to any later token path's introspection: for the app only, and never a 404; of either kind of token."""
        refusal, value = self._asked_about(call)
        if refusal is not None:
            return refusal
        told = self._tell_access(call, value)
        told = {**told, **self._besides(call, told)} if told is not None else self._tell_refresh(value)
        if told is None:
            return Answer.json(200, {"active": False})
        return Answer.json(200, {"active": True, "token_use": f"{told['token_type']}_token", "app_id": 1, **told})

    def revoke(self, call: Call) -> Answer:
        """POST to any later token path's revocation: of either kind of token, one that is not known included.

        HubSpot's specification names no status of success; a call that answers nothing is a 204 everywhere else.
        """
        refusal, value = self._asked_about(call)
        if refusal is not None:
            return refusal
        hub_id = self.tokens.owner(value)
        if hub_id is not None:
            self.tokens.revoke(hub_id)
        self.tokens.end(value)
        return Answer(204)

    def _asked_about(self, call: Call) -> tuple[Answer | None, str]:
        form = call.request.form()
        if is_gone(call):
            return errors.not_found(call), ""
        try:
            require_client({"grant_type": "introspection", **form})
        except RefusedGrantError as refusal:
            return refusal.answer, ""
        return None, form.get("token", "")

    def _tell_access(self, call: Call, value: str) -> dict[str, object] | None:
        token = self.tokens.access(value)
        account = self.accounts.get(token.hub_id) if token else None
        if token is None or account is None or token.expires_at <= call.at:
            return None
        left = int(token.expires_at - call.at)
        return {**_whose(account, value), "app_id": 1, "expires_in": left, "token_type": "access"}

    def _tell_refresh(self, value: str) -> dict[str, object] | None:
        hub_id = self.tokens.owner(value)
        account = self.accounts.get(hub_id) if hub_id is not None else None
        if account is None:
            return None
        return {**_whose(account, value), "client_id": _app_of(account), "token_type": "refresh"}

    def _besides(self, call: Call, told: Mapping[str, object]) -> dict[str, object]:
        """Tell what the specification of the later introspection requires of an access token besides."""
        account = self.accounts[self.tokens.access(str(told["token"])).hub_id]  # type: ignore[union-attr]  # it was told
        return {
            "client_id": _app_of(account),
            "is_private_distribution": False,
            "signed_access_token": _signed(account, call, left_s=told["expires_in"]),
        }


def _whose(account: Account, value: str) -> dict[str, object]:
    settings = account.settings
    return {
        "token": value,
        "user": f"user{settings.user_id}@example.test",
        "hub_domain": f"hub{settings.hub_id}.example.test",
        "scopes": settings.scopes,
        **({"hub_id": settings.hub_id} if settings.information_tells_portal else {}),
        "user_id": settings.user_id,
    }


def _app_of(account: Account) -> str:
    return account.settings.client_id or "app"


def _signed(account: Account, call: Call, *, left_s: object) -> dict[str, object]:
    """Every field of SignedAccessToken; nobody can check what is signed here."""
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
