"""Which properties, associations and history a request asks for: names as they are sent, checked by their form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from worker.definitions.names import ALL, MOST_PROPERTIES
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

_MOST_ASSOCIATIONS = 50
_LONGEST_NAME = 250

# HubSpot allows letters, digits and underscores in new names; older ones have more. Only what would end a name in a
# list of them, or a line of the log, cannot be part of one.
_INSIDE, _AT_ITS_ENDS = r"[^,\x00-\x1f\x7f-\x9f\u2028\u2029]", r"[^,\s\x00-\x1f\x7f-\x9f\u2028\u2029]"
_PATTERN = f"^{_AT_ITS_ENDS}(?:{_INSIDE}*{_AT_ITS_ENDS})?$"
_NAME = re.compile(_PATTERN).fullmatch

_SAME_BY_PARAMETER: Mapping[str, frozenset[str]] = {
    "properties": frozenset({"property", "properties"}),
    "history": frozenset({"propertieswithhistory", "propertymode"}),
    "associations": frozenset({"associations"}),
    "archived": frozenset({"archived"}),
}
"""What HubSpot's own parameters say, in lower case, that a field of the body says as well."""


def _list_of_names(values: object, *, most: int) -> tuple[str, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ValueError("must be a list of names")
    if len(values) > most:
        raise ValueError(f"must hold at most {most} names")
    wrong = next((place for place, each in enumerate(values) if not _is_name(each)), None)
    if wrong is not None:
        raise ValueError(
            f"the name at place {wrong} must have 1 to {_LONGEST_NAME} characters, without commas, control characters "
            "and spaces around it"
        )
    if len({*values}) < len(values):
        raise ValueError("names one more than once")
    return tuple(values)


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _NAME(text) is not None


def _properties(values: object) -> object:
    names = _list_of_names(values, most=MOST_PROPERTIES)
    if names is not None and not names:
        raise ValueError("must name at least one property, or * for all")
    return names


def _history(values: object) -> object:
    names = _list_of_names(values, most=MOST_PROPERTIES) or ()
    if ALL in names:
        raise ValueError("must name properties, * is none")
    return names


def _associations(values: object) -> object:
    return _list_of_names(values, most=_MOST_ASSOCIATIONS) or ()


def _names_schema(*, most: int, least: int = 0) -> WithJsonSchema:
    items = {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME, "pattern": _PATTERN}
    limits = {"minItems": least} if least else {}
    return WithJsonSchema(
        {"type": ["array", "null"], "items": items, **limits, "maxItems": most, "uniqueItems": True, "default": None}
    )


PropertyNames: TypeAlias = Annotated[
    tuple[str, ...] | None, BeforeValidator(_properties), _names_schema(most=MOST_PROPERTIES, least=1)
]
"""Names of properties, `*` among them for all; None: not asked for."""
HistoryNames: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_history), _names_schema(most=MOST_PROPERTIES)]
AssociationNames: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_associations), _names_schema(most=_MOST_ASSOCIATIONS)
]
"""Types to be associated, as the caller writes them."""


def said_twice(given: Iterable[str], params: Iterable[str]) -> list[str]:
    """Return a complaint for each of these fields that a parameter for HubSpot says as well."""
    named = {name.lower(): name for name in params}
    return [
        f"{field}, params.{named[each]}: say the same, name only one of them"
        for field in given
        for each in sorted(_SAME_BY_PARAMETER.get(field, frozenset()) & named.keys())
    ]


def impossible_for(export_type: ExportType, given: Iterable[str]) -> list[str]:
    """Return a complaint for each of these fields that the records of a type do not have."""
    if OBJECT_TYPES[export_type].dated.has_properties:
        return []
    return [f"{field}: {export_type} have none" for field in given if field != "archived"]
