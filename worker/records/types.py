"""The types of records, and which copy of an account's records is meant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Offset: TypeAlias = int | str
"""HubSpot's cursor, opaque: an integer in the legacy API, text in the dated one."""

PagePlace: TypeAlias = tuple[str, int]
"""Where a page is stored: its job, and its number among that one's."""


class ExportType(StrEnum):
    """What can be exported."""

    CONTACTS = "contacts"
    COMPANIES = "companies"
    DEALS = "deals"
    NOTES = "notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFormat:
    """The spelling of one type's body, and the most records HubSpot puts in one page of it.

    Recorded traffic: contacts and companies spell the flag `has-more`, deals and engagements `hasMore`;
    only contacts call the offset `vid-offset`.
    """

    list_key: str
    more_key: str
    offset_key: str
    most_records: int


PAGE_FORMATS: dict[ExportType, PageFormat] = {
    ExportType.CONTACTS: PageFormat(
        list_key="contacts", more_key="has-more", offset_key="vid-offset", most_records=100
    ),
    ExportType.COMPANIES: PageFormat(list_key="companies", more_key="has-more", offset_key="offset", most_records=250),
    ExportType.DEALS: PageFormat(list_key="deals", more_key="hasMore", offset_key="offset", most_records=250),
    ExportType.NOTES: PageFormat(list_key="results", more_key="hasMore", offset_key="offset", most_records=250),
}


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
