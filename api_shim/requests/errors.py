"""Errors in requests, and the message that names several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from worker.errors import (
    ExportError,
    InvalidRequestError,
)
from worker.records.types import DOCUMENTED_TYPES

_MOST_COMPLAINTS = 10
_LONGEST_NAME = 100


class UnsupportedTypeError(ExportError):
    """No such type of export exists."""

    code = "unsupported_type"
    details = f"Given type is not supported. supported types are {', '.join(sorted(DOCUMENTED_TYPES))}"

    def __init__(self) -> None:
        super().__init__("data not found on object of type")


class UnsupportedEncodingError(ExportError):
    """The body is compressed; it is not unpacked, since it could become any size."""

    code = InvalidRequestError.code

    def __init__(self) -> None:
        super().__init__("Content-Encoding: a body must not be compressed")


def complaints(errors: Iterable[Mapping[str, Any]]) -> str:
    """Describe pydantic's errors by field. Names from outside are cut, since they may be long."""
    return "; ".join(f"{_field(item['loc'])}: {_reason(item)}" for item in islice(errors, _MOST_COMPLAINTS))


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in location) or "body"


def _reason(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "is not a known field"
    message: str = item["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
