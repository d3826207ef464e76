"""Parses query parameters as HubSpot does."""

import re
from dataclasses import dataclass

from sandbox.fake_hubspot.messages import Request

_INTEGER = re.compile(r"[+-]?\d{1,18}")


@dataclass(frozen=True)
class InvalidIntegerError(Exception):
    """A parameter that must be an integer is not one."""

    name: str
    value: str


def integer(request: Request, name: str, *, default: int) -> int:
    """Return an integer parameter, `default` if missing or empty. Raises InvalidIntegerError."""
    value = request.first(name)
    if not value:
        return default
    if not _INTEGER.fullmatch(value):
        raise InvalidIntegerError(name, value)
    return int(value)


def comma_lists(request: Request, name: str) -> tuple[str, ...]:
    """Return the values of a comma-separated parameter that may also be repeated."""
    return tuple(part.strip() for value in request.every(name) for part in value.split(",") if part.strip())


def is_true(flag: str | None) -> bool:
    """Accept any spelling of true: a client that writes `True` must not get live records in place of archived ones."""
    return flag is not None and flag.lower() in {"true", "1"}
