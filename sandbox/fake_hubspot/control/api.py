"""The control API: JSON over HTTP below /__sandbox/, by which demo, tests and benchmarks set HubSpot up."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.accounts import AccountSettings
from sandbox.fake_hubspot.control.records import ControlRecords
from sandbox.fake_hubspot.control.schemas import CodeRequest, Latency, account_stats, account_view, fault_view
from sandbox.fake_hubspot.faults.plan import FaultPlan
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.journal import LoggedCall
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.parameters import InvalidIntegerError, integer

CONTROL_PREFIX = "/__sandbox/"
_T = TypeVar("_T")
_ACCOUNT = r"accounts/(\d+)"
_RECORDS = rf"{_ACCOUNT}/records/([\w-]+)"


class ControlApi:
    """Answers control calls and passes everything else to the fake HubSpot, which never logs control calls."""

    def __init__(self, hubspot: HubSpot) -> None:
        self._hubspot = hubspot
        records = ControlRecords(hubspot)
        self._routes: tuple[tuple[str, str, Callable[..., object]], ...] = (
            ("GET", "health", lambda _: {"status": "ok"}),
            ("POST", "reset", self._reset),
            ("PUT", "latency", self._set_latency),
            ("POST", "accounts", self._add_account),
            ("GET", "accounts", self._accounts),
            ("GET", _ACCOUNT, self._account),
            ("PATCH", _ACCOUNT, self._change_account),
            ("DELETE", _ACCOUNT, self._remove_account),
            ("POST", rf"{_ACCOUNT}/access-tokens", self._issue_token),
            ("DELETE", rf"{_ACCOUNT}/access-tokens", self._expire_tokens),
            ("DELETE", "access-tokens", self._expire_all_tokens),
            ("DELETE", rf"{_ACCOUNT}/refresh-token", self._revoke),
            ("POST", rf"{_ACCOUNT}/codes", self._issue_code),
            ("GET", _RECORDS, records.ids),
            ("POST", _RECORDS, records.change),
            ("GET", rf"{_RECORDS}/(\d+)", records.one),
            ("GET", rf"{_RECORDS}/associations/([\w-]+)", records.associations),
            ("POST", "faults", self._add_fault),
            ("GET", "faults", self._faults),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "calls", self._calls),
            ("DELETE", "calls", self._clear_calls),
            ("GET", "stats", self._stats),
        )

    def answer(self, request: Request) -> Answer:
        """Answer in JSON; 400 names the invalid field, 404 the missing object."""
        if not request.path.startswith(CONTROL_PREFIX):
            return self._hubspot.answer(request)
        try:
            return self._dispatch(request)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return Answer.json(400, {"error": str(error)})
        except InvalidIntegerError as error:
            return Answer.json(400, {"error": f"Expected an integer - at `{error.name}`"})
        except LookupError as error:
            return Answer.json(404, {"error": f"does not exist: {error}"})

    def _dispatch(self, request: Request) -> Answer:
        path = request.path.removeprefix(CONTROL_PREFIX)
        for method, pattern, handler in self._routes:
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return Answer.json(200, handler(request, *match.groups()))
        raise LookupError(f"{request.method} {request.path}")

    def _reset(self, _: Request) -> object:
        hubspot = self._hubspot
        hubspot.accounts.clear()
        hubspot.tokens.clear()
        hubspot.faults.clear()
        hubspot.journal.clear()
        hubspot.latency_s = 0.0
        return {}

    def _set_latency(self, request: Request) -> object:
        self._hubspot.latency_s = _read(request, Latency).latency_s
        return {"latency_s": self._hubspot.latency_s}

    def _add_account(self, request: Request) -> object:
        return account_view(self._hubspot.open_account(_read(request, AccountSettings)))

    def _accounts(self, _: Request) -> object:
        return {"accounts": [account_view(account) for account in self._hubspot.accounts.values()]}

    def _account(self, _: Request, hub_id: str) -> object:
        return account_view(self._found(hub_id))

    def _change_account(self, request: Request, hub_id: str) -> object:
        account = self._found(hub_id)
        before = account.settings.refresh_token
        account.change(_read(request, dict[str, object]))
        if account.settings.refresh_token != before:
            self._hubspot.tokens.install(account.hub_id, account.settings.refresh_token)
        return account_view(account)

    def _remove_account(self, _: Request, hub_id: str) -> object:
        account = self._found(hub_id)
        self._hubspot.tokens.revoke(account.hub_id)
        del self._hubspot.accounts[account.hub_id]
        return {}

    def _issue_token(self, _: Request, hub_id: str) -> object:
        account = self._found(hub_id)
        token = self._hubspot.issue_token(account.hub_id)
        return {"access_token": token.value, "expires_in": account.settings.token_lifetime_s}

    def _expire_tokens(self, _: Request, hub_id: str) -> object:
        return {"expired": self._hubspot.tokens.expire(self._found(hub_id).hub_id)}

    def _expire_all_tokens(self, _: Request) -> object:
        return {"expired": self._hubspot.tokens.expire()}

    def _revoke(self, _: Request, hub_id: str) -> object:
        return {"revoked": self._hubspot.tokens.revoke(self._found(hub_id).hub_id)}

    def _issue_code(self, request: Request, hub_id: str) -> object:
        redirect_uri = _read(request, CodeRequest).redirect_uri
        return {"code": self._hubspot.tokens.issue_code(self._found(hub_id).hub_id, redirect_uri=redirect_uri).value}

    def _add_fault(self, request: Request) -> object:
        return fault_view(self._hubspot.faults.add(_read(request, FaultPlan)))

    def _faults(self, _: Request) -> object:
        return {"faults": [fault_view(fault) for fault in self._hubspot.faults]}

    def _clear_faults(self, _: Request) -> object:
        self._hubspot.faults.clear()
        return {}

    def _calls(self, request: Request) -> object:
        calls = [call for call in self._hubspot.journal.calls if _is_wanted(call, request)]
        limit = integer(request, "limit", default=len(calls))
        return {"calls": calls[len(calls) - limit :] if limit < len(calls) else calls}

    def _clear_calls(self, _: Request) -> object:
        self._hubspot.journal.clear()
        for account in self._hubspot.accounts.values():
            account.forget_counts()
        return {}

    def _stats(self, _: Request) -> object:
        accounts = self._hubspot.accounts.items()
        by_account = {str(hub_id): account_stats(account) for hub_id, account in accounts}
        return {"totals": self._hubspot.journal.totals, "accounts": by_account}

    def _found(self, hub_id: str) -> Account:
        return self._hubspot.accounts[int(hub_id)]


def _read(request: Request, type_: type[_T]) -> _T:
    return msgspec.json.decode(request.body or b"{}", type=type_)


def _is_wanted(call: LoggedCall, request: Request) -> bool:
    hub_id = integer(request, "account", default=0)
    return (
        hub_id in (0, call.hub_id)
        and request.first("type") in (None, call.type)
        and integer(request, "status", default=call.status) == call.status
        and call.path.startswith(request.first("path") or "")
    )
