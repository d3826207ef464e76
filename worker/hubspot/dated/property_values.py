"""Values of properties in the dated API -> in the documented shapes: texts, milliseconds, earlier values."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.hubspot.dated.field_values import milliseconds, text
from worker.records.known_times import is_known_time

_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
).fullmatch
_DAY, _HYPHEN_AT, _AFTER_HYPHEN = len("2026-01-09"), 4, 5
_NO_VERSIONS: Sequence[object] = ()

Value = Any  # whatever came


@dataclass(frozen=True, slots=True)
class ValueShape:
    """How a legacy list writes a property by its name and history, newest first.

    `always_lists`: it lists versions where none were asked for as well.
    """

    with_history: Callable[[str, Value, Sequence[Value]], dict[str, Any]]
    always_lists: bool


def write_properties(
    properties: Mapping[str, Value],
    history: Mapping[str, Value],
    *,
    names: Collection[str] | None,
    times: Collection[str],
    shape: ValueShape,
) -> dict[str, Any]:
    """Write properties as the legacy API does, which leaves those without a value out.

    `names`, in small letters, are those that were asked for; None: whatever came. One that has no value, and had one,
    is written with an empty text, so that its history has a place.
    """
    written, lists = {}, shape.always_lists
    for name, value in properties.items():
        # A page may have 60,000 values: what most of them do not need is not done for each.
        if value is None or (names is not None and name not in names and name.lower() not in names):
            continue
        if type(value) is not str or (value[_HYPHEN_AT:_AFTER_HYPHEN] == "-" and len(value) >= _DAY):
            value = _as_legacy(value, is_time=name in times or is_known_time(name))  # noqa: PLW2901
        written[name] = {"value": value, "versions": _NO_VERSIONS} if lists else {"value": value}
    for name, given in history.items():
        versions = _newest_first(given)
        if not versions or (names is not None and name.lower() not in names):
            continue
        is_time = name in times or is_known_time(name)
        last = "" if name in properties else _field(versions[0], "value")
        value = written[name]["value"] if name in written else _as_legacy(last, is_time=is_time)
        earlier = [_legacy_version(each, is_time=is_time) for each in versions]
        written[name] = shape.with_history(name, value, earlier)
    return written


def _contact_value(_: str, value: Value, versions: Sequence[Value]) -> dict[str, Any]:
    return {"value": value, "versions": [_contact_version(each) for each in versions]}


def _sourced_value(name: str, value: Value, versions: Sequence[Value]) -> dict[str, Any]:
    return {
        "value": value,
        "timestamp": milliseconds(_field(versions[0], "timestamp")),
        "source": _field(versions[0], "sourceType"),
        "sourceId": _field(versions[0], "sourceId"),
        "versions": [_sourced_version(name, each) for each in versions],
    }


CONTACT_VALUES = ValueShape(_contact_value, always_lists=False)
"""A value, and all of them where they were asked for."""

SOURCED_VALUES = ValueShape(_sourced_value, always_lists=True)
"""As companies and deals have it; where a value comes from is told by its history alone."""


def _as_legacy(value: Value, *, is_time: bool) -> Value:
    """Write an instant as milliseconds, a day as those of its midnight in UTC."""
    if type(value) is not str:
        return text(value)
    if not is_time or _ISO(value) is None:
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
