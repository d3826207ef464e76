"""Values of the dated API as the legacy shapes have them; one whose meaning is not plain stays as it came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from worker.hubspot.dated.objects import integer_of
from worker.records.plain_values import plain_flag, plain_text

EMPTY = (None, "")
"""What a property without a value comes as."""

_SEPARATOR = ";"


def said(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever came
    """Return a field with the value, or none where HubSpot did not send it."""
    return {} if value is None else {name: value}


def number(value: Any) -> Any:  # noqa: ANN401 - whatever came
    found = integer_of(value)
    return value if found is None else found


def flag(value: Any) -> Any:  # noqa: ANN401 - whatever came
    if value is None or value is False:
        return False
    found = plain_flag(msgspec.json.encode(value))
    return value if found is None else found


def text(value: Any) -> Any:  # noqa: ANN401 - whatever came
    if value is None or isinstance(value, str | list | dict):
        return value
    found = plain_text(msgspec.json.encode(value))
    return value if found is None else msgspec.Raw(found)


def milliseconds(value: Any) -> Any:  # noqa: ANN401 - whatever came
    """Read an instant, in ISO 8601 or in milliseconds since 1970; without a time zone it is one in UTC."""
    found = integer_of(value)
    if found is not None:
        return found
    if not isinstance(value, str):
        return value
    try:
        instant = datetime.fromisoformat(value)
        return round((instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):  # the second for the first and the last day there are
        return value


def split_values(value: Any, read: Callable[[Any], Any] = number) -> Any:  # noqa: ANN401 - whatever came
    """Read what one property holds several of, with semicolons between them."""
    if value in EMPTY:
        return []
    if not isinstance(value, str):
        return [read(value)] if isinstance(value, int) else value
    return [read(each.strip()) for each in value.split(_SEPARATOR) if each.strip()]
