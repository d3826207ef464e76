"""Retry-After, in seconds or as a date -> seconds from now; pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0
"""The maximum, to which a longer one is cut: HubSpot documents up to 24 hours, with status 477."""

_QUARTER_S = 900
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_LONGEST_TEXT = 64  # of a date or a number; more digits than that are as good as infinite


def retry_after_s(
    value: str | None, *, date: str | None = None, clock: Callable[[], datetime] | None = None
) -> float | None:
    """Parse the header; None where it is neither a number nor a date, 0.0 where its time has passed.

    A date is compared with the answer's own `Date`, which comes from the same clock. Without that it is compared with
    `clock`; without either it is ignored.
    """
    text = (value or "").strip()
    if _NUMBER.fullmatch(text):
        seconds = float(text) if len(text) <= _LONGEST_TEXT else LONGEST_S
        return _bounded(-1.0 if text.startswith("-") else seconds)
    until = _instant(text)
    if until is None:
        return None
    now = _instant(date or "") or (clock() if clock is not None else None)
    return _bounded((until - now).total_seconds()) if now is not None else None


def until_next_quarter_s(at: datetime) -> float:
    """Return the seconds until the next quarter of an hour: each is midnight, the end of a daily limit, somewhere."""
    return _QUARTER_S - at.timestamp() % _QUARTER_S + 1.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_S)


def _instant(text: str) -> datetime | None:
    """Parse one of HTTP's date formats; one without a zone (asctime's) is UTC."""
    if not text or len(text) > _LONGEST_TEXT:
        return None
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
