"""HubSpot's answer -> what is to be done about it: one table, pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import NoReturn

from pydantic import SecretStr

from worker.errors import (
    DailyLimitError,
    FatalHubSpotError,
    HubSpotError,
    JsonValue,
    RateLimitedError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    SecondlyLimitError,
    TokenRefusedError,
)
from worker.hubspot.masks import masked, safe_correlation_id
from worker.rate_limit.quota import Quota
from worker.rate_limit.retry_after import retry_after_s
from worker.records.mending import mend

_MOST_DIGITS = 9  # of a number in a header about the limit
_MOST_TEXT = 2_000  # of a message or a body that is not JSON, in characters
_MOST_JSON = 64_000  # of a body that is, in characters
_MOST_BYTES = 4 * _MOST_JSON  # of a body that is read for an error at all
_DEEPEST_JSON = 50
_NESTING = {"[": 1, "{": 1, "]": -1, "}": -1}
_OK = 200
_FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 400, 500
_TOO_LONG = "HubSpot refuses the address as too long: ask for fewer properties"
_REDIRECT = "HubSpot, or a proxy before it, redirects the call, which is not followed: a token goes to no other address"
_NOT_AUTHENTIC = frozenset({"EXPIRED_AUTHENTICATION", "INVALID_AUTHENTICATION"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no success. `body` is safe to store and to show."""

    status: int
    headers: Mapping[str, str]
    body: JsonValue

    def field(self, name: str) -> str | None:
        """Return a field of the body if it is text and not empty: HubSpot promises no field."""
        value = self.body.get(name) if isinstance(self.body, dict) else None
        return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One kind of answer. `pause_s` is how long to wait where HubSpot gives no advice (None: back off)."""

    applies: Callable[[Refusal], bool]
    kind: type[HubSpotError]
    pause_s: float | None = None
    details: str | None = None


def _is(*statuses: int) -> Callable[[Refusal], bool]:
    return lambda refusal: refusal.status in statuses


def _is_limit(policy: str) -> Callable[[Refusal], bool]:
    """Recognise a limit by its name, or else by HubSpot's words: "You have reached your daily limit."."""
    return lambda refusal: _is_limited(refusal) and policy in _limit_of(refusal)


def _is_limited(refusal: Refusal) -> bool:
    return refusal.status == 429 or (refusal.status == _OK and refusal.field("errorType") == "RATE_LIMIT")  # noqa: PLR2004


def _is_not_authentic(refusal: Refusal) -> bool:
    return refusal.status == 401 or (refusal.status == _OK and refusal.field("category") in _NOT_AUTHENTIC)  # noqa: PLR2004


def _limit_of(refusal: Refusal) -> list[str]:
    named = refusal.field("policyName")
    return [named] if named is not None else (refusal.field("message") or "").upper().rstrip(".").split()


def _is_dead_refresh_token(refusal: Refusal) -> bool:
    return refusal.field("error") == "invalid_grant" or refusal.field("status") == "BAD_REFRESH_TOKEN"


# The first row that applies decides. HubSpot documents no Retry-After on 429; its own SDK waits 10 s for the rolling
# limit and 1 s for the secondly one. A 423 lock lasts 2 s. 477 always comes with a Retry-After, of up to a day.
# A status below 400 other than 200 comes from a proxy, or from a HubSpot in trouble: it passes.
_TABLE: Sequence[_Row] = (
    _Row(applies=_is_dead_refresh_token, kind=ReconnectRequiredError),
    _Row(applies=_is_limit("DAILY"), kind=DailyLimitError),
    _Row(applies=_is_limit("SECONDLY"), kind=SecondlyLimitError, pause_s=1.0),
    _Row(applies=_is_limited, kind=RateLimitedError, pause_s=10.0),
    _Row(applies=_is_not_authentic, kind=TokenRefusedError),
    _Row(applies=_is(300, 301, 302, 303, 307, 308), kind=RetryableHubSpotError, details=_REDIRECT),
    _Row(applies=lambda refusal: refusal.status < _FIRST_CLIENT_ERROR, kind=RetryableHubSpotError),
    _Row(applies=_is(423), kind=RetryableHubSpotError, pause_s=2.0),
    _Row(applies=_is(408, 425, 477), kind=RetryableHubSpotError),
    _Row(applies=lambda refusal: refusal.status >= _FIRST_SERVER_ERROR, kind=RetryableHubSpotError),
    _Row(applies=_is(414), kind=FatalHubSpotError, details=_TOO_LONG),
    _Row(applies=lambda _: True, kind=FatalHubSpotError),
)


def error_of(  # noqa: PLR0913 - what an answer holds
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    took_s: float,
    secrets: Sequence[SecretStr] = (),
    clock: Callable[[], datetime] | None = None,
) -> HubSpotError:
    """Translate an answer that is no success to the error that tells what to do; none of its texts holds a secret."""
    refusal = Refusal(status=status, headers=headers, body=_body_of(content, secrets))
    row = next(row for row in _TABLE if row.applies(refusal))
    return row.kind(
        _message_of(refusal) or row.details or f"HubSpot answered with status {status}",
        status=status,
        body=refusal.body,
        correlation_id=safe_correlation_id(refusal.field("correlationId"), secrets)
        or correlation_id_of(headers, secrets),
        retry_after_s=(_retry_after_s(headers, clock) or row.pause_s) if _may_wait(row) else None,
        quota=quota_of(headers, took_s=took_s),
        details=row.details or _scopes_of(refusal.body),
    )


def error_within(
    content: bytes, *, reason: str, quota: Quota | None, correlation_id: str | None, secrets: Sequence[SecretStr]
) -> HubSpotError:
    """Return the error for a body that came with status 200 and cannot be used, for a `reason`.

    HubSpot sends some of its errors so, as `{"status": "error", "message": ..., "correlationId": ...}`: then it is that
    error, in HubSpot's words. Anything else is as passing as a 5xx: HTML of a proxy, JSON cut short.
    """
    headers = {"x-hubspot-correlation-id": correlation_id} if correlation_id is not None else {}
    error = error_of(_OK, headers, content, took_s=0.0, secrets=secrets)
    if not _is_error(error.body):
        return RetryableHubSpotError(reason, status=_OK, correlation_id=correlation_id, quota=quota)
    error.quota = quota
    return error


def _is_error(body: JsonValue) -> bool:
    if not isinstance(body, dict):
        return False
    return str(body.get("status")).lower() == "error" or bool({"errorType", "category", "error"} & body.keys())


def quota_of(headers: Mapping[str, str], *, took_s: float) -> Quota | None:
    """Read the headers about the rolling limit in the answer to a call that took `took_s`.

    None where it says nothing that can be read.
    """
    names = ("Max", "Remaining", "Interval-Milliseconds")
    values = [_number(headers.get(f"X-HubSpot-RateLimit-{name}", "")) for name in names]
    calls, remaining, interval_ms = values
    if not calls or remaining is None or not interval_ms:
        return None
    return Quota(calls=calls, remaining=min(remaining, calls), seconds=interval_ms / 1000, took_s=took_s)


def correlation_id_of(headers: Mapping[str, str], secrets: Sequence[SecretStr]) -> str | None:
    """Read what HubSpot's support asks for; a proxy may have put anything there."""
    return safe_correlation_id(headers.get("x-hubspot-correlation-id"), secrets)


def _may_wait(row: _Row) -> bool:
    return issubclass(row.kind, RetryableHubSpotError)


def _retry_after_s(headers: Mapping[str, str], clock: Callable[[], datetime] | None) -> float | None:
    """Read Retry-After in either form; 0 does not count as advice to retry at once.

    HubSpot documents seconds, with status 477; proxies in front of it send dates as well.
    """
    return retry_after_s(headers.get("Retry-After"), date=headers.get("Date"), clock=clock)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _scopes_of(body: JsonValue) -> str | None:
    """Name the scopes that a 403 asks for: `errors[].context.requiredGranularScopes`, formerly `requiredScopes`."""
    errors = body.get("errors") if isinstance(body, dict) else None
    contexts = [error.get("context") for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    named = [
        scope
        for context in contexts
        if isinstance(context, dict)
        for key in ("requiredGranularScopes", "requiredScopes")
        for scope in _texts(context.get(key))
    ]
    return f"One of these scopes is needed: {', '.join(dict.fromkeys(named))}"[:_MOST_TEXT] if named else None


def _texts(value: JsonValue) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _message_of(refusal: Refusal) -> str | None:
    message = refusal.field("message") or refusal.field("error_description")
    return message[:_MOST_TEXT] if message is not None else None


def _body_of(content: bytes, secrets: Sequence[SecretStr]) -> JsonValue:
    """Return the body as JSON, or as the beginning of its text; a secret that HubSpot repeats is masked.

    Whatever comes can be stored in the job and answered to a client: no half characters, no NaN, nothing endless.
    """
    is_long = len(content) > _MOST_BYTES
    as_it_came, mended = (
        masked(each.decode("utf-8", errors="replace"), secrets)
        for each in (content[:_MOST_BYTES], mend(content[:_MOST_BYTES]).text)
    )
    if is_long or len(mended) > _MOST_JSON or _depth(mended) > _DEEPEST_JSON:
        return as_it_came[:_MOST_TEXT]
    try:
        body: JsonValue = json.loads(mended, parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError:
        return as_it_came[:_MOST_TEXT] or None
    return body


def _depth(text: str) -> int:
    """Return the deepest nesting there can be; brackets inside of strings count as well."""
    return max(accumulate(_NESTING.get(character, 0) for character in text), default=0)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
