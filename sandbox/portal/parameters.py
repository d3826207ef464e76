"""Reading numbers from a query string, with HubSpot's two answers to a wrong one."""

import re
from dataclasses import dataclass

from sandbox.portal.messages import Request

_INTEGER = re.compile(r"[+-]?\d{1,18}")


@dataclass(frozen=True)
class InvalidIntegerError(Exception):
    """A parameter that has to be a whole number is none."""

    name: str
    value: str


def integer(request: Request, name: str, *, default: int) -> int:
    """Read a parameter; missing or empty means `default`, raises InvalidIntegerError on anything but an integer."""
    value = request.first(name)
    if not value:
        return default
    if not _INTEGER.fullmatch(value):
        raise InvalidIntegerError(name, value)
    return int(value)


def comma_lists(request: Request, name: str) -> tuple[str, ...]:
    """Read a comma-separated parameter that may also be repeated."""
    return tuple(part.strip() for value in request.every(name) for part in value.split(",") if part.strip())
