"""Objects of the dated API -> records in the documented legacy shapes; a value that is not what it should be stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from worker.records.object_type import DatedList, RecordShape
from worker.records.plain_values import INT64, plain_flag, plain_integer, plain_text

_EMPTY = (None, "")
_DIGITS_ALWAYS_IN_64_BITS = 18


class DatedObject(msgspec.Struct, rename="camel", gc=False):
    """An object whose fields may be anything; each is read by itself, so that an odd one costs nothing else."""

    id: Any = None
    created_at: Any = None
    updated_at: Any = None
    properties: Any = None
    archived: Any = None
    url: Any = None
    associations: Any = None


def _contact(item: DatedObject, _: DatedList) -> dict[str, Any]:
    record_id = _number(item.id)
    return {
        **_said("addedAt", _milliseconds(item.created_at)),
        **_said("vid", record_id),
        **_said("canonical-vid", record_id),
        "is-contact": True,
        **_said("profile-url", item.url),
        "properties": _properties(item),
    }


def _company(item: DatedObject, _: DatedList) -> dict[str, Any]:
    return {
        **_said("companyId", _number(item.id)),
        "isDeleted": _flag(item.archived),
        "properties": _properties(item),
    }


def _deal(item: DatedObject, dated: DatedList) -> dict[str, Any]:
    return {
        **_said("dealId", _number(item.id)),
        "isDeleted": _flag(item.archived),
        "associations": _associations(dated, item),
        "properties": _properties(item),
    }


def _engagement(item: DatedObject, dated: DatedList) -> dict[str, Any]:
    is_odd = not isinstance(item.properties, dict | None)
    properties = item.properties if isinstance(item.properties, dict) else {}
    owner, stamp, preview = (properties.get(n) for n in ("hubspot_owner_id", "hs_timestamp", "hs_body_preview"))
    return {
        "engagement": {
            **_said("id", _number(item.id)),
            **_said("createdAt", _milliseconds(item.created_at)),
            **_said("lastUpdated", _milliseconds(item.updated_at)),
            "type": "NOTE",
            **_said("timestamp", _milliseconds(item.created_at if stamp in _EMPTY else stamp)),
            **_said("ownerId", None if owner in _EMPTY else _number(owner)),
            **_said("bodyPreview", _text(preview)),
        },
        "associations": _associations(dated, item),
        "metadata": {"body": "" if (body := properties.get("hs_note_body")) is None else _text(body)},
        **({"properties": item.properties} if is_odd else {}),
    }


RECORD_WRITERS: Mapping[RecordShape, Callable[[DatedObject, DatedList], dict[str, Any]]] = {
    RecordShape.CONTACT: _contact,
    RecordShape.COMPANY: _company,
    RecordShape.DEAL: _deal,
    RecordShape.ENGAGEMENT: _engagement,
}


def _said(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever came
    """Return a field with the value, or none where HubSpot did not send it."""
    return {} if value is None else {name: value}


def _properties(item: DatedObject) -> Any:  # noqa: ANN401 - whatever came
    """Wrap each value as the legacy API does, which leaves properties without a value out, and knows texts alone."""
    if not isinstance(item.properties, dict):
        return {} if item.properties is None else item.properties
    return {
        name: {"value": value if type(value) is str else _text(value)}
        for name, value in item.properties.items()
        if value is not None
    }


def _associations(dated: DatedList, item: DatedObject) -> Any:  # noqa: ANN401 - whatever came
    given = {} if item.associations is None else item.associations
    if not isinstance(given, dict):
        return given
    return {legacy: _associated(given.get(name)) for name, legacy in dated.associations.items()}


def _associated(given: Any) -> Any:  # noqa: ANN401 - whatever came
    """Return the ids of what is associated, each once; what holds none stands as it came."""
    listed = given.get("results") if isinstance(given, dict) else given
    if listed is None:
        return []
    if not isinstance(listed, list):
        return given
    others = [_number(other.get("id", other) if isinstance(other, dict) else other) for other in listed]
    return list({other if type(other) is int else msgspec.json.encode(other): other for other in others}.values())


def integer_of(value: Any) -> int | None:  # noqa: ANN401 - whatever came
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= _DIGITS_ALWAYS_IN_64_BITS:
        return int(value)
    if type(value) is int:
        return value if value in INT64 else None
    return plain_integer(msgspec.json.encode(value)) if isinstance(value, str | msgspec.Raw) else None


def _number(value: Any) -> Any:  # noqa: ANN401 - whatever came
    number = integer_of(value)
    return value if number is None else number


def _flag(value: Any) -> Any:  # noqa: ANN401 - whatever came
    if value is None or value is False:
        return False
    flag = plain_flag(msgspec.json.encode(value))
    return value if flag is None else flag


def _text(value: Any) -> Any:  # noqa: ANN401 - whatever came
    if value is None or isinstance(value, str | list | dict):
        return value
    text = plain_text(msgspec.json.encode(value))
    return value if text is None else msgspec.Raw(text)


def _milliseconds(value: Any) -> Any:  # noqa: ANN401 - whatever came
    """Read an instant, in ISO 8601 or in milliseconds since 1970; without a time zone it is one in UTC."""
    number = integer_of(value)
    if number is not None:
        return number
    if not isinstance(value, str):
        return value
    try:
        instant = datetime.fromisoformat(value)
        return round((instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):  # the second for the first and the last day there are
        return value


def as_written(number: str) -> msgspec.Raw:
    return msgspec.Raw(number.encode())
