"""The fake HubSpot's core: maps a request to an answer, without sockets and with an injected clock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Unpack

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.accounts import AccountOptions, AccountSettings
from sandbox.fake_hubspot.admission import rate_headers, refuse
from sandbox.fake_hubspot.call import Call, Route
from sandbox.fake_hubspot.crm.dated_lists import custom_lists
from sandbox.fake_hubspot.faults.plan import FaultOptions, FaultPlan, FaultScript, RecipeName, ScriptedFault
from sandbox.fake_hubspot.faults.recipes import FaultedCall, answer_faulty
from sandbox.fake_hubspot.journal import Journal, LoggedCall
from sandbox.fake_hubspot.messages import Answer, Ending, Request
from sandbox.fake_hubspot.oauth.grants import OAuth
from sandbox.fake_hubspot.oauth.introspection import Introspection
from sandbox.fake_hubspot.oauth.tokens import AccessToken, IdGenerator, TokenStore
from sandbox.fake_hubspot.parameters import InvalidIntegerError
from sandbox.fake_hubspot.records.oddities import odd_page
from sandbox.fake_hubspot.records.renderer import Templates
from sandbox.fake_hubspot.routes import Routes, build_routes, find_route, object_routes
from sandbox.fake_hubspot.transport.compression import compressed

LONGEST_TARGET = 16_000
"""Longest accepted path and query, in characters; longer ones are answered 414."""


class HubSpot:
    """HubSpot's API for any number of generated accounts.

    `clock()` returns epoch seconds. The same seed, clock and requests give the same answers, byte for byte.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, seed: int = 0) -> None:
        self.clock = clock
        self.faults = FaultScript()
        self.journal = Journal()
        self.accounts: dict[int, Account] = {}
        self.latency_s = 0.0
        self._ids = IdGenerator(seed)
        self.tokens = TokenStore(clock=clock, ids=self._ids)
        self._templates = Templates()
        self._oauth = OAuth(self.tokens, self.accounts)
        self._routes = build_routes(self._oauth, Introspection(self.tokens, self.accounts))
        self._own_routes: dict[int, Routes] = {}
        self._calls = 0

    def add_account(self, hub_id: int, **options: Unpack[AccountOptions]) -> Account:
        """Create or replace an account; raises msgspec.ValidationError naming an invalid field."""
        return self.open_account(msgspec.convert({"hub_id": hub_id, **options}, AccountSettings))

    def open_account(self, settings: AccountSettings) -> Account:
        """Create an account from validated settings; an existing one is replaced and its access tokens expire."""
        account = Account(settings, templates=self._templates)
        self.tokens.expire(settings.hub_id)
        self.tokens.install(settings.hub_id, account.settings.refresh_token)
        self.accounts[settings.hub_id] = account
        self._own_routes[settings.hub_id] = object_routes(custom_lists(account))
        return account

    def issue_token(self, hub_id: int) -> AccessToken:
        """Issue an access token without an OAuth call; raises KeyError for an unknown account."""
        lifetime_s = self.accounts[hub_id].settings.token_lifetime_s
        return self.tokens.issue(hub_id, lifetime_s=lifetime_s)

    def fail_next(self, recipe: RecipeName | None = None, **options: Unpack[FaultOptions]) -> ScriptedFault:
        """Script a fault, for the next call unless the options say otherwise; raises msgspec.ValidationError."""
        plan = msgspec.json.encode({"recipe": recipe, **options})
        return self.faults.add(msgspec.json.decode(plan, type=FaultPlan))

    def answer(self, request: Request) -> Answer:
        """Answer one request as HubSpot would, or as a scripted fault dictates."""
        call = self._open(request)
        fault = self.faults.next_for(call)
        answer = answer_faulty(FaultedCall(fault.plan, call, self._serve)) if fault else self._serve(call)
        answer = self._add_headers(call, answer)
        self._log(call, answer, fault)
        return answer

    def _open(self, request: Request) -> Call:
        token = self.tokens.access(_bearer(request))
        route = self._methods(request.path, token).get(request.method)
        call = Call(request, self.clock(), self._ids.uuid(), self._ids.hex(32), route)
        account = self.accounts.get(token.hub_id) if token else self._granting(call)
        if account and route and route.scopes and not route.is_search:
            account.meter.arrive(at=call.at, interval_s=account.settings.rate_interval_s)
        return replace(call, token=token, account=account)

    def _methods(self, path: str, token: AccessToken | None) -> Mapping[str, Route]:
        own = self._own_routes.get(token.hub_id) if token else None
        return (find_route(own, path) if own else {}) or find_route(self._routes, path)

    def _granting(self, call: Call) -> Account | None:
        hub_id = self._oauth.hub_id_of(call)
        return None if hub_id is None else self.accounts.get(hub_id)

    def _serve(self, call: Call) -> Answer:
        if len(call.request.target) > LONGEST_TARGET:
            return errors.uri_too_long()
        if call.route is None:
            known = self._methods(call.request.path, call.token)
            return errors.method_not_allowed(call) if known else errors.not_found(call)
        refusal = refuse(call, call.route.scopes) if call.route.scopes else None
        try:
            return refusal or _with_odd_envelope(call, call.route.answer(call))
        except InvalidIntegerError as error:
            return errors.invalid_integer(call, error.name, error.value)

    def _add_headers(self, call: Call, answer: Answer) -> Answer:
        headers = {**answer.headers, "x-hubspot-correlation-id": call.correlation_id}
        latency_s = self.latency_s
        if call.account:
            latency_s += call.account.settings.latency_s
            if call.route and call.route.scopes and not call.route.is_search:
                headers.update(rate_headers(call.account, at=call.at))
        answer = replace(answer, headers=headers, delay_s=answer.delay_s + latency_s)
        return compressed(answer, call.request) if call.account and call.account.settings.gzip else answer

    def _log(self, call: Call, answer: Answer, fault: ScriptedFault | None) -> None:
        self._calls += 1
        request = call.request
        cut = answer.cut_after is not None and answer.ending is Ending.COMPLETE
        logged = LoggedCall(
            number=self._calls,
            at=call.at,
            method=request.method,
            path=request.path,
            query=request.query,
            type=call.type,
            hub_id=call.hub_id,
            status=answer.status,
            fault=fault.id if fault else None,
            outcome="cut" if cut else answer.ending.value,
        )
        self.journal.add(logged, size=len(answer.body))
        if call.account:
            call.account.counters.count(logged, size=len(answer.body))


def _with_odd_envelope(call: Call, answer: Answer) -> Answer:
    for name in call.owner.settings.odd_pages if call.account and call.route and call.route.scopes else ():
        answer = replace(answer, body=odd_page(name, answer.body))
    return answer


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
