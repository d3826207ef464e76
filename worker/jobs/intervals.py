"""Intervals as callers write them: `12h`, `7d`, `2w`; pure."""

from __future__ import annotations

import re
from datetime import timedelta

INTERVAL = r"[1-9][0-9]{0,3}[hdw]"
"""What a text must be whole to be an interval; the shortest one is an hour."""

_UNITS: dict[str, timedelta] = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_matches = re.compile(INTERVAL, re.ASCII).fullmatch


def interval(text: str) -> timedelta:
    """Parse an interval. Raises ValueError where it is none."""
    if _matches(text) is None:
        raise ValueError("must be a number of hours, days or weeks, such as 12h, 7d or 2w")
    return int(text[:-1]) * _UNITS[text[-1]]


def valid_interval(text: str | None) -> str | None:
    """Return an interval as it is written, or none. Raises ValueError, TypeError."""
    if text is not None:
        interval(text)
    return text
