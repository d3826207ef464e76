"""The types of records, and which copy of an account's records is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, TypeAlias

Offset: TypeAlias = int | str
"""HubSpot's cursor, opaque: an integer in the legacy API, text in the dated one."""

PagePlace: TypeAlias = tuple[str, int]
"""The key of a stored page: its job, and its number among that one's."""


ExportType = NewType("ExportType", str)
"""The canonical name of a type of objects, as `contacts`; that of a custom object is its `fullyQualifiedName`."""

CONTACTS, COMPANIES, DEALS, NOTES = map(ExportType, ("contacts", "companies", "deals", "notes"))
DOCUMENTED_TYPES = (CONTACTS, COMPANIES, DEALS, NOTES)
"""What can be exported at default settings."""  # their order is part of the OpenAPI document


def is_start(offset: Offset | None) -> bool:
    """Whether an offset is where the first page starts: HubSpot takes 0 for that as well."""
    return offset in {None, 0, "0", ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyId:
    """Which copy: the records of one type that one account has got of one HubSpot portal.

    Without a `hub_id` it is the account's first one, which is of no other portal than the first that is told.
    """

    account_id: str
    export_type: ExportType
    hub_id: int | None = None
