"""Cells of a table: text that no spreadsheet runs, and instants that a person can read."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

_SIGNS = "-=+@\0\uff1d\uff0b\uff20\uff0d"  # the last four in full width, which some spreadsheets accept as well
_STARTS_OF_FORMULAS = frozenset("\t\r\n" + _SIGNS)
_NEGATIVE = r"-[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?"
_IS_NEGATIVE = re.compile(_NEGATIVE).fullmatch
_find_separator = re.compile(r'[",;\t\r\n]').search
_find_quoted = re.compile(r'[",\r\n]').search
# Where a spreadsheet splits at semicolons or tabs, quotes in the middle of a line are text: each separator, and each
# line break, begins a cell there.
_FORMULA_INSIDE = re.compile(rf"([;\t\r\n][\"']*)(?!{_NEGATIVE}(?:[;\t\r\n]|\Z))(?=[{re.escape(_SIGNS)}])")
_MILLISECONDS = re.compile(r"-?[0-9]{1,15}")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?")
_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000

# Fields of HubSpot's envelopes, and the properties that HubSpot itself defines as dates. What a customer has named
# `…date` may be anything: it is left alone.
_TIME_PATHS = frozenset(
    {
        "addedAt",
        "engagement.createdAt",
        "engagement.lastUpdated",
        "engagement.timestamp",
        "metadata.completionDate",
        "metadata.endTime",
        "metadata.startTime",
    }
)
_TIME_PROPERTY = re.compile(
    r"createdate|lastmodifieddate|closedate|hubspot_owner_assigneddate"
    r"|(?:first|recent)_(?:conversion|deal_created|deal_close)_date|first_(?:contact_createdate|outreach_date)"
    r"|notes_(?:last_contacted|last_updated|next_activity_date)|engagements_last_meeting_booked"
    r"|hs_(?:createdate|lastmodifieddate|timestamp)|hs_\w+_(?:date|timestamp)|hs_(?:v2_)?date_(?:entered|exited)_\w+"
)


def written(cells: list[str]) -> list[str]:
    """Return cells as they stand in a file: none runs as a formula, with quotes where RFC 4180 wants them.

    An apostrophe goes before what a spreadsheet would take for a formula, also where it splits lines at `;` or tabs. A
    negative number gets none; `+49…` gets one: as a number a telephone number loses its plus, as a sum (`+49-30-1`) it
    is nonsense.
    """
    # Most cells are plain; a function call for each of them would double the time.
    return [
        cell if _find_separator(cell) is None and cell[:1] not in _STARTS_OF_FORMULAS else _written(cell)
        for cell in cells
    ]


def _written(text: str) -> str:
    is_formula = text[:1] in _STARTS_OF_FORMULAS and not _IS_NEGATIVE(text)
    start, rest = (f"'{text[0]}", text[1:]) if is_formula else ("", text)
    found_inside = 0
    if ";" in rest or "\t" in rest or "\n" in rest or "\r" in rest:  # cheaper than the regular expression
        rest, found_inside = _FORMULA_INSIDE.subn(r"\1'", rest)
    if not found_inside and _find_quoted(text) is None:
        return start + rest
    return '"' + (start + rest).replace('"', '""') + '"'


def is_time_path(path: str) -> bool:
    """Whether the field of that dotted path holds an instant."""
    return path in _TIME_PATHS


def is_time_property(name: str) -> bool:
    """Whether HubSpot defines the property of that name as a date."""
    return _TIME_PROPERTY.fullmatch(name) is not None


def iso_instant(text: str) -> str:
    """Return HubSpot's milliseconds as ISO 8601 in UTC; the dated API's are so already; anything else gives nothing."""
    if not _MILLISECONDS.fullmatch(text):
        return text if _ISO.fullmatch(text) else ""
    days, milliseconds = divmod(int(text), _DAY_MS)
    seconds, milliseconds = divmod(milliseconds, 1000)
    try:
        return f"{_date(days)}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}Z"
    except OverflowError:
        return ""


@lru_cache(maxsize=4096)
def _date(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).isoformat()
