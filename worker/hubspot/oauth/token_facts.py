"""What HubSpot says of a token, read without trust: nothing odd in it may cost a token that works."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import SecretStr

from worker.accounts.connection import TokenInfo
from worker.errors import HubSpotError, ReconnectRequiredError, RetryableHubSpotError
from worker.hubspot.error_mapping import error_of
from worker.records.mending import mend

_OK = 200
_WORDS = ("message", "error_description", "error")
_SHOWN = (*_WORDS, "status", "category", "correlationId")
_MOST_ID = 2**63 - 1
_MOST_TEXT, _MOST_NAMES = 500, 1000
_MOST_DIGITS = 400  # of a whole number; Python itself refuses to read more than 4,300
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?")

T = TypeVar("T")


def read_object(body: bytes) -> Mapping[str, Any] | None:
    """Read a JSON object as gateways really write it; None where it is none.

    A byte order mark, raw control characters, NaN, half characters and whatever follows the object cost nothing.
    """
    text = body.decode(json.detect_encoding(body), errors="replace")
    text = mend(text.encode(errors="replace")).text.decode().lstrip()
    try:
        found, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def error_in(said: Mapping[str, Any] | None, *, secrets: Sequence[SecretStr]) -> HubSpotError | None:
    """Return the error that an answer with status 200 is, in HubSpot's words; None where it has no words of one.

    The body as a whole is shown to nobody: it may hold a token in a field that is not read.
    """
    shown = {name: value for name in _SHOWN if isinstance(value := (said or {}).get(name), str)}
    error = error_of(_OK, {}, json.dumps(shown).encode(), took_s=0.0, secrets=secrets)
    if isinstance(error, ReconnectRequiredError):
        return error
    if shown.keys().isdisjoint(_WORDS):
        return None
    return RetryableHubSpotError(error.message, status=_OK, body=error.body, correlation_id=error.correlation_id)


def facts_of(said: Mapping[str, Any]) -> TokenInfo:
    """Read each field by itself; one that is not as it should be counts as missing. HubSpot promises none of them."""
    return TokenInfo(
        hub_id=first(said, "hub_id", "hubId", read=_id),
        user_id=first(said, "user_id", "userId", read=_id),
        user=first(said, "user", read=_name),
        scopes=first(said, "scopes", "scope", read=_names),
    )


def first(said: Mapping[str, Any], *names: str, read: Callable[[Any], T | None]) -> T | None:
    """Return the first of these fields that can be read: HubSpot's documentation spells some in two ways."""
    return next((value for name in names if (value := read(said.get(name))) is not None), None)


def number_of(value: Any) -> float | None:  # noqa: ANN401 - whatever came
    """Read a number that is finite, or one spelled as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def flag_of(value: Any) -> bool | None:  # noqa: ANN401 - whatever came
    """Read a flag, or one spelled as text or number."""
    if isinstance(value, str | int | float):
        return {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}.get(str(value).lower())
    return None


def _id(value: Any) -> int | None:  # noqa: ANN401 - whatever came
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = _whole(value.strip())  # not by way of a float, which tells no two ids of 17 digits apart
    number = number_of(value)
    return int(number) if number is not None and number == int(number) and 0 <= number <= _MOST_ID else None


def _name(value: Any) -> str | None:  # noqa: ANN401 - whatever came
    return value if isinstance(value, str) and len(value) <= _MOST_TEXT else None


def _names(value: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - whatever came
    """Read a list of names, or RFC 6749's form: one text, with spaces between them."""
    names = value.split() or None if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) > _MOST_NAMES or any(_name(each) is None for each in names):
        return None
    return tuple(names)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


_DECODER = json.JSONDecoder(strict=False, parse_int=_whole)
