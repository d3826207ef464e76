"""What the OpenAPI document says of types, where a setting enables others than the documented ones."""

from __future__ import annotations

from typing import Any

from api_shim.requests.errors import UnsupportedTypeError
from worker.jobs.status import JOB_TYPES, JobKind
from worker.records.enabled_types import ALL_TYPES, EnabledTypes
from worker.records.types import DOCUMENTED_TYPES

_TYPES, _JOB_TYPES = list(DOCUMENTED_TYPES), list(JOB_TYPES)
_REFUSAL = UnsupportedTypeError().details
_EXPORTED = "**contacts, companies, deals and notes**"
_PASSED_THROUGH = "For `deals`,\nall further query parameters"


def with_enabled_types(document: Any, enabled: EnabledTypes) -> Any:  # noqa: ANN401 - JSON
    """Return the document, or a part of it, with these types in its enumerations, defaults, examples and texts."""
    if isinstance(document, list):
        return [with_enabled_types(each, enabled) for each in document]
    if isinstance(document, str):
        return _text(document, enabled)
    if not isinstance(document, dict):
        return document
    return {name: with_enabled_types(value, enabled) for name, value in _schema(document, enabled).items()}


def _schema(part: dict[str, Any], enabled: EnabledTypes) -> dict[str, Any]:
    """Return a part, the schema of a type or of the types of a sync perhaps, with its own words replaced."""
    if part.get("enum") == _TYPES:
        return _one_of([], part, enabled)
    if part.get("enum") == _JOB_TYPES:
        return _one_of([JobKind.SYNC.value], part, enabled)
    if part.get("default") == _TYPES:
        return {**part, "default": list(enabled.of_a_sync), "items": _one_of([ALL_TYPES], part["items"], enabled)}
    return part


def _one_of(further: list[str], schema: dict[str, Any], enabled: EnabledTypes) -> dict[str, Any]:
    """Return the schema of one of these words, or of any text with custom objects: each account has its own."""
    words = [*enabled.listed, *(each for each in enabled.custom if each != ALL_TYPES), *further]
    rest = {name: value for name, value in schema.items() if name != "enum"}
    return {**rest, ("examples" if enabled.has_custom else "enum"): words}


def _text(text: str, enabled: EnabledTypes) -> str:
    if text == _REFUSAL:
        return str(UnsupportedTypeError(enabled).details)
    return text.replace(_EXPORTED, f"records of these types: **{enabled.sentence}**").replace(
        _PASSED_THROUGH, "For all types\nbut `contacts`, `companies` and `notes`, all further query parameters"
    )
