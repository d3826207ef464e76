"""The effects of scripted faults: one recipe for every way in which HubSpot is known to fail."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.faults.plan import FaultPlan, RecipeName
from sandbox.fake_hubspot.messages import TYPE_JSON, Answer, Ending

_MIGRATION_S = 60
_SLOW_S = 5.0
_PIECES = 50
_EARLY_HINTS = 103


@dataclass(frozen=True)
class FaultedCall:
    """A call that a fault fires on, and the handler that would have answered it."""

    plan: FaultPlan
    call: Call
    serve: Callable[[Call], Answer]

    def real(self) -> Answer:
        """Return the answer without the fault."""
        return self.serve(self.call)


def answer_faulty(faulted: FaultedCall) -> Answer:
    """Return the answer that the fault's plan dictates."""
    plan = faulted.plan
    answer = _RECIPES[plan.recipe](faulted) if plan.recipe else _scripted_answer(plan)
    retry_after = {} if plan.retry_after_s is None else _retry_after(plan, plan.retry_after_s, at=faulted.call.at)
    scripted = {name.lower(): value for name, value in plan.headers.items()}
    return replace(
        answer,
        headers={**answer.headers, **retry_after, **scripted},
        delay_s=answer.delay_s + plan.delay_s,
        pieces=_PIECES if plan.trickle_s else answer.pieces,
        trickle_s=plan.trickle_s or answer.trickle_s,
        cut_after=plan.cut_after if plan.cut_after is not None else answer.cut_after,
    )


def _retry_after(plan: FaultPlan, seconds: int, *, at: float) -> dict[str, str]:
    if plan.retry_after_form == "seconds":
        return {"retry-after": str(seconds)}
    return {"retry-after": formatdate(at + seconds, usegmt=True), "date": formatdate(at, usegmt=True)}


def _scripted_answer(plan: FaultPlan) -> Answer:
    body = msgspec.json.decode(plan.body)
    sent = body.encode() if isinstance(body, str) else bytes(plan.body)
    return Answer(plan.status or 0, sent, {"content-type": TYPE_JSON})


def _required_scopes(call: Call) -> tuple[str, ...]:
    return call.route.scopes if call.route else ()


def _bad_refresh_token(_: FaultedCall) -> Answer:
    message = "refresh token is invalid, expired or revoked"
    return errors.refused_grant("invalid_grant", "BAD_REFRESH_TOKEN", message)


def _broken(faulted: FaultedCall) -> Answer:
    answer = faulted.real()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _cut(faulted: FaultedCall) -> Answer:
    answer = faulted.real()
    return replace(answer, cut_after=len(answer.body) // 2)


def _slow(faulted: FaultedCall) -> Answer:
    # `answer_faulty` adds the plan's own delay; without one the recipe has a default.
    return replace(faulted.real(), delay_s=0.0 if faulted.plan.delay_s else _SLOW_S)


def _stuck(faulted: FaultedCall) -> Answer:
    answer = faulted.real()
    page = json.loads(answer.body)
    asked = next((value for name, value in faulted.call.request.query if name in _CURSORS and value), "0")
    repeated = {**page, **_stuck_dated(page, asked), **_stuck_legacy(page, asked)}
    return replace(answer, body=msgspec.json.encode(repeated))


_CURSORS = ("vidOffset", "offset", "after")


def _stuck_legacy(page: dict[str, object], asked: str) -> dict[str, object]:
    more = {name: True for name in ("has-more", "hasMore") if name in page}
    return more | {name: int(asked) for name in ("vid-offset", "offset") if name in page}


def _stuck_dated(page: dict[str, object], asked: str) -> dict[str, object]:
    is_dated = "results" in page and "hasMore" not in page
    return {"paging": {"next": {"after": asked, "link": ""}}} if is_dated else {}


def _cursor_ignored(faulted: FaultedCall) -> Answer:
    request = faulted.call.request
    query = tuple((name, value) for name, value in request.query if name not in _CURSORS)
    return faulted.serve(replace(faulted.call, request=replace(request, query=query)))


def _out_of_order(faulted: FaultedCall) -> Answer:
    answer = faulted.real()
    page = json.loads(answer.body)
    reversed_lists = {name: value[::-1] for name, value in page.items() if isinstance(value, list)}
    return replace(answer, body=msgspec.json.encode({**page, **reversed_lists}))


def _trickle(faulted: FaultedCall) -> Answer:
    return replace(faulted.real(), pieces=_PIECES, trickle_s=_SLOW_S)


def _early_hints(faulted: FaultedCall) -> Answer:
    return replace(faulted.real(), interim=(_EARLY_HINTS,))


def _ends_early(faulted: FaultedCall) -> Answer:
    """Clear the more flag and leave the rest: recorded last pages still have an offset."""
    answer = faulted.real()
    body = _MORE.sub(rb"\1false", answer.body)
    if "paging" in json.loads(body):
        body = body.rpartition(b',"paging":')[0] + b"}"
    return replace(answer, body=body)


def _empty_list(faulted: FaultedCall) -> Answer:
    """Return what an account without a record of the type would answer."""
    answer = _ends_early(faulted)
    page = json.loads(answer.body)
    nothing = {name: [] if isinstance(value, list) else value for name, value in page.items()}
    start = {name: 0 for name in _OFFSETS if name in page}
    return replace(answer, body=msgspec.json.encode({**nothing, **start}))


_MORE = re.compile(rb'("has-more":|"hasMore":)true')
_OFFSETS = ("vid-offset", "time-offset", "offset", "total")


_RECIPES: dict[RecipeName, Callable[[FaultedCall], Answer]] = {
    "ten_secondly": lambda faulted: errors.ten_secondly(faulted.call),
    "secondly": lambda faulted: errors.secondly(faulted.call),
    "daily": lambda faulted: errors.daily(faulted.call),
    "migrating": lambda faulted: errors.migrating(faulted.call, retry_after_s=_MIGRATION_S),
    "locked": lambda faulted: errors.locked(faulted.call),
    "error_200": lambda faulted: replace(errors.internal(faulted.call), status=200),
    "redirect": lambda faulted: errors.redirect(faulted.call),
    "early_hints": _early_hints,
    "no_content": lambda _: Answer(204),
    "multi_status": lambda faulted: replace(faulted.real(), status=207),
    "trickle": _trickle,
    "internal_json": lambda faulted: errors.internal(faulted.call),
    "internal_html": lambda _: errors.html(500, "Internal Server Error"),
    "bad_gateway": lambda _: errors.html(502, "Bad Gateway"),
    "unavailable": lambda _: errors.html(503, "Service Unavailable"),
    "gateway_timeout": lambda _: errors.html(504, "Gateway Time-out"),
    "server_down": lambda _: errors.html(521, "Web server is down"),
    "cloudflare_timeout": lambda _: errors.html(524, "A timeout occurred"),
    "expired": lambda faulted: errors.expired(faulted.call, expires_at=faulted.call.at),
    "unauthenticated": lambda faulted: errors.unauthenticated(faulted.call),
    "missing_scopes": lambda faulted: errors.missing_scopes(faulted.call, _required_scopes(faulted.call)),
    "bad_refresh_token": _bad_refresh_token,
    "uri_too_long": lambda _: errors.uri_too_long(),
    "not_found": lambda faulted: errors.not_found(faulted.call),
    "html_200": lambda _: errors.html(200, "HubSpot"),
    "broken_json_200": _broken,
    "cut": _cut,
    "reset": lambda _: Answer(0, ending=Ending.RESET),
    "silent": lambda _: Answer(0, ending=Ending.SILENT),
    "slow": _slow,
    "stuck_cursor": _stuck,
    "cursor_ignored": _cursor_ignored,
    "out_of_order": _out_of_order,
    "empty_list": _empty_list,
    "ends_early": _ends_early,
}
