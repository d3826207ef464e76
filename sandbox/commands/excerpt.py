"""Shortens a JSON document for the screen and marks what was left out."""

from __future__ import annotations

import json
from typing import Any

_LONGEST_TEXT = 60
_MOST_FIELDS = 12


def excerpt(document: Any) -> str:  # noqa: ANN401 - any JSON document
    """Render the first entry of each list and the first fields of each object, with counts of what is left out."""
    return json.dumps(_shorten(document), indent=2, ensure_ascii=False)


def _shorten(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return _shorten_object(value)
    if isinstance(value, list):
        return [_shorten(value[0]), f"… {len(value) - 1} more, not shown"] if len(value) > 1 else _each(value)
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}… {len(value) - _LONGEST_TEXT} more characters, not shown"
    return value


def _each(values: list[Any]) -> list[Any]:
    return [_shorten(value) for value in values]


def _shorten_object(fields: dict[str, Any]) -> dict[str, Any]:
    shown = {name: _shorten(value) for name, value in list(fields.items())[:_MOST_FIELDS]}
    rest = len(fields) - len(shown)
    return {**shown, "…": f"{rest} more fields, not shown"} if rest else shown
