"""Reads token documents of other programs: ids, texts, times and lifetimes in every spelling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

from bson import ObjectId

from worker.mongo.database import Document

_FIRST_MILLISECONDS = 100_000_000_000  # as seconds that is the year 5138, as milliseconds 1973


def key_of(account_id: str, owner: str) -> Document:
    """Return a filter that finds a document whether its ids were written as text, number or ObjectId."""
    return {"account_id": {"$in": _spellings(account_id)}, "owner": {"$in": _spellings(owner)}}


def spellings_of(account_id: str, owner: str) -> Iterator[tuple[str | int | ObjectId, str | int | ObjectId]]:
    """Return the pairs of ids that a document of this key may hold."""
    return product(_spellings(account_id), _spellings(owner))


def read_text(value: Any) -> str | None:  # noqa: ANN401 - whatever another program stored
    """Return a text; anything else counts as missing."""
    return value if isinstance(value, str) else None


def read_number(value: Any) -> float | None:  # noqa: ANN401 - as above
    """Return a finite number, be it stored as a text."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_instant(value: Any) -> datetime | None:  # noqa: ANN401 - as above
    """Return a date, or seconds or milliseconds since 1970, as an instant."""
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    number = read_number(value)
    if number is None:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _FIRST_MILLISECONDS else number, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _spellings(value: str) -> list[str | int | ObjectId]:
    spellings: list[str | int | ObjectId] = [value]
    if value.isascii() and value.isdigit() and str(int(value)) == value and int(value) < 2**63:
        spellings.append(int(value))
    if ObjectId.is_valid(value):
        spellings.append(ObjectId(value))
    return spellings
