"""Values of properties in the dated API -> in the documented shapes: texts, milliseconds, earlier values."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from worker.hubspot.field_values import milliseconds, text

_KNOWN_TIMES = frozenset(
    {
        "closedate",
        "createdate",
        "engagements_last_meeting_booked",
        "first_contact_createdate",
        "first_conversion_date",
        "first_deal_created_date",
        "hs_closed_won_date",
        "hs_createdate",
        "hs_last_sales_activity_date",
        "hs_last_sales_activity_timestamp",
        "hs_lastmodifieddate",
        "hs_latest_meeting_activity",
        "hs_timestamp",
        "hubspot_owner_assigneddate",
        "lastmodifieddate",
        "notes_last_contacted",
        "notes_last_updated",
        "notes_next_activity_date",
        "recent_conversion_date",
        "recent_deal_close_date",
    }
)
_KNOWN_TIME_PATTERN = re.compile(
    r"hs_(?:v2_)?date_(?:entered|exited)_.+"
    r"|hs_lifecyclestage_.+_date"
    r"|hs_analytics_(?:first|last)_(?:visit_)?timestamp"
    r"|hs_(?:sales_)?email_(?:first|last)_.+(?:_date|opened|clicked|replied)"
    r"|hs_(?:last|next)_.+_date"
).fullmatch
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
).fullmatch
_DAY = len("2026-01-09")

Value = Any  # whatever came
WriteValue = Callable[[str, Value, Sequence[Value]], dict[str, Any]]
"""Writes a property by its name, its value, and its history, newest first, which is empty where none was asked for."""


@lru_cache(maxsize=4096)
def is_known_time(name: str) -> bool:
    """Whether a property is one of HubSpot's own whose values are instants or days, in any account."""
    return name in _KNOWN_TIMES or _KNOWN_TIME_PATTERN(name) is not None


def write_properties(
    properties: Mapping[str, Value],
    history: Mapping[str, Value],
    *,
    names: Collection[str] | None,
    times: Collection[str],
    write: WriteValue,
) -> dict[str, Any]:
    """Write properties as the legacy API does, which leaves those without a value out.

    `names`, in small letters, are those that were asked for; None: whatever came. One that has no value, and had one,
    is written with an empty text, so that its history has a place.
    """
    written = {}
    for name in dict.fromkeys((*properties, *history)) if history else properties:
        if names is not None and name.lower() not in names:
            continue
        versions = _newest_first(history.get(name)) if history else ()
        value = properties.get(name)
        if value is None and versions:
            value = "" if name in properties else _field(versions[0], "value")
        if value is None:
            continue
        is_time = name in times or is_known_time(name)
        value = _as_legacy(value, is_time=is_time)
        written[name] = write(name, value, [_legacy_version(each, is_time=is_time) for each in versions])
    return written


def plain_value(_: str, value: Value, versions: Sequence[Value]) -> dict[str, Any]:
    """Write a property as contacts have it: its value, and all of them where they were asked for."""
    if not versions:
        return {"value": value}
    return {"value": value, "versions": [_contact_version(each) for each in versions]}


def sourced_value(name: str, value: Value, versions: Sequence[Value]) -> dict[str, Any]:
    """Write a property as companies and deals have it; where it comes from is told by its history alone."""
    if not versions:
        return {"value": value, "versions": []}
    return {
        "value": value,
        "timestamp": milliseconds(_field(versions[0], "timestamp")),
        "source": _field(versions[0], "sourceType"),
        "sourceId": _field(versions[0], "sourceId"),
        "versions": [_sourced_version(name, each) for each in versions],
    }


def _as_legacy(value: Value, *, is_time: bool) -> Value:
    """Write an instant as milliseconds, a day as those of its midnight in UTC."""
    if type(value) is not str:
        return text(value)
    if not is_time or len(value) < _DAY or _ISO(value) is None:
        return value
    number = milliseconds(value)
    return str(number) if isinstance(number, int) else value


def _newest_first(versions: Value) -> Sequence[Value]:
    if not isinstance(versions, list):
        return ()
    times = [milliseconds(_field(each, "timestamp")) for each in versions]
    if not all(isinstance(each, int) for each in times):
        return versions
    return [each for _, each in sorted(zip(times, versions, strict=True), key=lambda timed: -timed[0])]


def _legacy_version(version: Value, *, is_time: bool) -> Value:
    if not isinstance(version, dict):
        return version
    return version | {"value": _as_legacy(version.get("value"), is_time=is_time)}


def _contact_version(version: Value) -> Value:
    if not isinstance(version, dict):
        return version
    return {
        "value": version.get("value"),
        "source-type": version.get("sourceType"),
        "source-id": version.get("sourceId"),
        "source-label": version.get("sourceLabel"),
        "timestamp": milliseconds(version.get("timestamp")),
        "selected": False,
    }


def _sourced_version(name: str, version: Value) -> Value:
    if not isinstance(version, dict):
        return version
    source_id = version.get("sourceId")
    return {
        "name": name,
        "value": version.get("value"),
        "timestamp": milliseconds(version.get("timestamp")),
        "source": version.get("sourceType"),
        **({} if source_id in {None, ""} else {"sourceId": source_id}),
        "sourceVid": [],
    }


def _field(version: Value, name: str) -> Value:
    return version.get(name) if isinstance(version, dict) else None
