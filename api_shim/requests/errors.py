"""Errors in requests, and the message that names several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from worker.errors import (
    ExportError,
    InvalidRequestError,
)
from worker.records.enabled_types import EnabledTypes

MOST_COMPLAINTS = 10
_LONGEST_NAME = 100


class UnsupportedTypeError(ExportError):
    """No such type of export exists."""

    code = "unsupported_type"

    def __init__(self, enabled: EnabledTypes | None = None) -> None:
        super().__init__("data not found on object of type")
        supported = (enabled or EnabledTypes()).sentence
        self.details = f"Given type is not supported. supported types are {supported}"


class UnsupportedEncodingError(ExportError):
    """The body is compressed; it is not unpacked, since it could become any size."""

    code = InvalidRequestError.code

    def __init__(self) -> None:
        super().__init__("Content-Encoding: a body must not be compressed")


def complaints(errors: Iterable[Mapping[str, Any]]) -> str:
    """Describe pydantic's errors by field. Names from outside are cut, since they may be long."""
    return "; ".join(f"{_field(item['loc'])}: {_reason(item)}" for item in islice(errors, MOST_COMPLAINTS))


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in location) or "body"


def _reason(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "is not a known field"
    message: str = item["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
