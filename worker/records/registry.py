"""The registry of object types: everything that is known of a type stands here, and nowhere else; pure.

A further type is one more value in `OBJECT_TYPES`. Whatever depends on the type asks by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from worker.records.types import ExportType

Json: TypeAlias = Mapping[str, Any]

DATED_LIST_KEY = "results"
"""What every list of the dated API is called."""


class RecordShape(StrEnum):
    """The legacy shape that a record of the dated API is written in (worker/hubspot/dated_records.py)."""

    CONTACT = "contact"
    COMPANY = "company"
    DEAL = "deal"
    ENGAGEMENT = "engagement"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFormat:
    """The spelling of one type's body, and the most records HubSpot puts in one page of it.

    Recorded traffic: contacts and companies spell the flag `has-more`, deals and engagements `hasMore`;
    only contacts call the offset `vid-offset`.
    """

    list_key: str
    more_key: Literal["has-more", "hasMore"]
    offset_key: Literal["vid-offset", "offset"]
    most_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFeed:
    """The feed of what has changed lately, which lies beside a legacy list.

    One that `goes_by_time` continues from the time and the id of the last record; the others' offset is a position.
    Some give all properties where none is named.
    """

    path: str
    list_key: str
    goes_by_time: bool = False
    gives_all_properties: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyList:
    """The v1 or v2 list. `query` is what its address asks for unless a setting says otherwise.

    The parameter names are HubSpot's documented ones. A misspelled one is ignored without a word (recorded: `offset`
    on contacts gave page 1 again and again). `takes_any_parameter`: a caller's further parameters are passed on.
    """

    path: str
    query: str = ""
    count_parameter: str
    offset_parameter: str
    takes_any_parameter: bool = False
    feed: ChangeFeed


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedList:
    """The object list of the dated API, and what of it the legacy shape wants.

    `properties` are always asked for. `associations` are dated names -> legacy names; without being told to,
    associations are asked for where `associates`. `kinds`: the list holds records of these kinds alone, where the
    legacy one holds more; None: both hold the same.
    """

    path: str
    shape: RecordShape
    properties: tuple[str, ...] = ()
    associations: Mapping[str, str] = field(default_factory=dict)
    associates: bool = False
    kinds: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectType:
    """A type of objects at HubSpot.

    `id_path` leads to a record's id, `kind_path` to what tells kinds of one type apart. Any one of `scopes` is enough
    to read it, by HubSpot's documentation of each list. What a legacy list takes and the dated one does not (`content`)
    counts as enough: a scope that is called missing and is not would stop an export that works.
    `time_paths` are the fields, beside properties, that hold instants.
    """

    name: str
    page: PageFormat
    id_path: tuple[str, ...]
    kind_path: tuple[str, ...] | None = None
    scopes: tuple[str, ...]
    legacy: LegacyList
    dated: DatedList
    time_paths: frozenset[str] = frozenset()
    example: Json

    @property
    def id_column(self) -> str:
        """The first column of a table of such records."""
        return ".".join(self.id_path)

    def example_page(self, *, next_offset: int) -> dict[str, Any]:
        """Return a page with the example, behind which there is more."""
        return {self.page.list_key: [self.example], self.page.more_key: True, self.page.offset_key: next_offset}


OBJECT_TYPES: Mapping[str, ObjectType] = {
    each.name: each
    for each in (
        ObjectType(
            name=ExportType.CONTACTS.value,
            page=PageFormat(list_key="contacts", more_key="has-more", offset_key="vid-offset", most_records=100),
            id_path=("vid",),
            scopes=("crm.objects.contacts.read", "crm.objects.contacts.write", "content"),
            legacy=LegacyList(
                path="/contacts/v1/lists/all/contacts/all",
                count_parameter="count",
                offset_parameter="vidOffset",
                feed=ChangeFeed(
                    path="/contacts/v1/lists/recently_updated/contacts/recent", list_key="contacts", goes_by_time=True
                ),
            ),
            dated=DatedList(path="contacts", shape=RecordShape.CONTACT),
            time_paths=frozenset({"addedAt"}),
            example={
                "vid": 501,
                "properties": {"email": {"value": "ada@example.com"}, "lastname": {"value": "Byron"}},
            },
        ),
        ObjectType(
            name=ExportType.COMPANIES.value,
            page=PageFormat(list_key="companies", more_key="has-more", offset_key="offset", most_records=250),
            id_path=("companyId",),
            scopes=("crm.objects.companies.read",),
            legacy=LegacyList(
                path="/companies/v2/companies/paged",
                query="properties=name&properties=website",
                count_parameter="limit",
                offset_parameter="offset",
                feed=ChangeFeed(
                    path="/companies/v2/companies/recent/modified", list_key="results", gives_all_properties=True
                ),
            ),
            dated=DatedList(path="companies", shape=RecordShape.COMPANY),
            example={"companyId": 701, "isDeleted": False, "properties": {"name": {"value": "Analytical Engines"}}},
        ),
        ObjectType(
            name=ExportType.DEALS.value,
            page=PageFormat(list_key="deals", more_key="hasMore", offset_key="offset", most_records=250),
            id_path=("dealId",),
            scopes=("crm.objects.deals.read",),
            legacy=LegacyList(
                path="/deals/v1/deal/paged",
                query="properties=dealname&includeAssociations=true",
                count_parameter="limit",
                offset_parameter="offset",
                takes_any_parameter=True,
                feed=ChangeFeed(path="/deals/v1/deal/recent/modified", list_key="results", gives_all_properties=True),
            ),
            dated=DatedList(
                path="deals",
                shape=RecordShape.DEAL,
                associations=MappingProxyType(
                    {
                        "contacts": "associatedVids",
                        "companies": "associatedCompanyIds",
                        "deals": "associatedDealIds",
                        "tickets": "associatedTicketIds",
                    }
                ),
            ),
            example={"dealId": 901, "isDeleted": False, "properties": {"dealname": {"value": "Difference Engine"}}},
        ),
        ObjectType(
            name=ExportType.NOTES.value,
            page=PageFormat(list_key="results", more_key="hasMore", offset_key="offset", most_records=250),
            id_path=("engagement", "id"),
            kind_path=("engagement", "type"),
            scopes=("crm.objects.contacts.read",),
            legacy=LegacyList(
                path="/engagements/v1/engagements/paged",
                count_parameter="limit",
                offset_parameter="offset",
                feed=ChangeFeed(path="/engagements/v1/engagements/recent/modified", list_key="results"),
            ),
            dated=DatedList(
                path="notes",
                shape=RecordShape.ENGAGEMENT,
                properties=("hs_note_body", "hs_body_preview", "hs_timestamp", "hubspot_owner_id"),
                associations=MappingProxyType(
                    {
                        "contacts": "contactIds",
                        "companies": "companyIds",
                        "deals": "dealIds",
                        "tickets": "ticketIds",
                    }
                ),
                associates=True,
                kinds=frozenset({"NOTE"}),
            ),
            time_paths=frozenset(
                {
                    "engagement.createdAt",
                    "engagement.lastUpdated",
                    "engagement.timestamp",
                    "metadata.completionDate",
                    "metadata.endTime",
                    "metadata.startTime",
                }
            ),
            example={
                "engagement": {"id": 1101, "type": "NOTE", "timestamp": 1763910000000},
                "metadata": {"body": "Sketch of the engine"},
            },
        ),
    )
}

"""All types, in the order in which they are named to clients."""
