"""Cells of a table: text that no spreadsheet runs, and instants that a person can read."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_STARTS_OF_FORMULAS = frozenset("=+-@\t\r\n\0＝＋－＠")  # noqa: RUF001 - full width, which some spreadsheets take as well
_NEGATIVE = re.compile(r"-[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?")
_MILLISECONDS = re.compile(r"-?[0-9]{1,15}")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, written without an offset and closed with Z

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


def defused(cells: list[str]) -> list[str]:
    """Put an apostrophe before what a spreadsheet would take for a formula; a negative number is none.

    `+49…` gets one as well: as a number a telephone number loses its plus, as a sum (`+49-30-1`) it is nonsense.
    """
    return [f"'{cell}" if cell[:1] in _STARTS_OF_FORMULAS and not _NEGATIVE.fullmatch(cell) else cell for cell in cells]


def is_time_path(path: str) -> bool:
    """Whether the field of that dotted path holds an instant."""
    return path in _TIME_PATHS


def is_time_property(name: str) -> bool:
    """Whether HubSpot defines the property of that name as a date."""
    return _TIME_PROPERTY.fullmatch(name) is not None


def iso_instant(text: str) -> str:
    """Write HubSpot's milliseconds as ISO 8601 in UTC. The dated API's are so already; anything else gives nothing."""
    if not _MILLISECONDS.fullmatch(text):
        return text if _ISO.fullmatch(text) else ""
    try:
        return (_EPOCH + timedelta(milliseconds=int(text))).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        return ""
