"""The registry of object types: all that is known of a type is declared here or in dated_types; pure.

Whatever depends on the type asks `OBJECT_TYPES` by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.dated_types import DATED_TYPES, dated_type
from worker.records.object_type import (
    ChangeFeed,
    DatedList,
    LegacyList,
    ObjectType,
    PageFormat,
    RecordShape,
)
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES

CUSTOM_OBJECTS = "custom_objects"
"""What all custom objects together are called, where each type needs no place of its own."""

_FULL_NAME = re.compile(r"p[0-9]{1,19}_[A-Za-z0-9_]{1,200}").fullmatch


class _ObjectTypes(dict[str, ObjectType]):
    """Types by their names. Custom objects can be asked for by name, but are not listed: each account has its own."""

    def __missing__(self, name: str) -> ObjectType:
        if not is_custom_name(name):
            raise KeyError(name)
        return dated_type(name, type_id=None, path=name, scopes=("crm.objects.custom.read",))


def is_custom_name(name: str) -> bool:
    """Whether a name is a custom object's `fullyQualifiedName`: `p<portal>_<name>`."""
    return _FULL_NAME(name) is not None


def is_type(name: str) -> bool:
    """Whether there is, or can be, a type of this name."""
    return name in OBJECT_TYPES or is_custom_name(name)


OBJECT_TYPES: Mapping[str, ObjectType] = _ObjectTypes(
    (each.name, each)
    for each in (
        ObjectType(
            name=CONTACTS,
            type_id="0-1",
            page=PageFormat(list_key="contacts", more_key="has-more", offset_key="vid-offset", most_records=100),
            id_path=("vid",),
            scopes=("crm.objects.contacts.read", "crm.objects.contacts.write", "content"),
            legacy=LegacyList(
                path="/contacts/v1/lists/all/contacts/all",
                count_parameter="count",
                offset_parameter="vidOffset",
                properties_parameter="property",
                feed=ChangeFeed(
                    path="/contacts/v1/lists/recently_updated/contacts/recent", list_key="contacts", goes_by_time=True
                ),
            ),
            dated=DatedList(path="contacts", shape=RecordShape.CONTACT, modified_property="lastmodifieddate"),
            time_paths=frozenset({"addedAt"}),
            created_path="addedAt",
            example={
                "vid": 501,
                "properties": {"email": {"value": "ada@example.com"}, "lastname": {"value": "Byron"}},
            },
        ),
        ObjectType(
            name=COMPANIES,
            type_id="0-2",
            page=PageFormat(list_key="companies", more_key="has-more", offset_key="offset", most_records=250),
            id_path=("companyId",),
            scopes=("crm.objects.companies.read",),
            legacy=LegacyList(
                path="/companies/v2/companies/paged",
                query="properties=name&properties=website",
                count_parameter="limit",
                offset_parameter="offset",
                properties_parameter="properties",
                history_parameter="propertiesWithHistory",
                feed=ChangeFeed(
                    path="/companies/v2/companies/recent/modified", list_key="results", gives_all_properties=True
                ),
            ),
            dated=DatedList(path="companies", shape=RecordShape.COMPANY),
            example={"companyId": 701, "isDeleted": False, "properties": {"name": {"value": "Analytical Engines"}}},
        ),
        ObjectType(
            name=DEALS,
            type_id="0-3",
            page=PageFormat(list_key="deals", more_key="hasMore", offset_key="offset", most_records=250),
            id_path=("dealId",),
            scopes=("crm.objects.deals.read",),
            has_pipelines=True,
            legacy=LegacyList(
                path="/deals/v1/deal/paged",
                query="properties=dealname&includeAssociations=true",
                count_parameter="limit",
                offset_parameter="offset",
                properties_parameter="properties",
                history_parameter="propertiesWithHistory",
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
            name=NOTES,
            type_id="0-46",
            page=PageFormat(list_key="results", more_key="hasMore", offset_key="offset", most_records=250),
            id_path=("engagement", "id"),
            kind_path=("engagement", "type"),
            scopes=("crm.objects.contacts.read",),
            legacy=LegacyList(
                path="/engagements/v1/engagements/paged",
                count_parameter="limit",
                offset_parameter="offset",
                properties_parameter=None,
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
                kinds=ACTIVITY_KINDS,
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
            created_path="engagement.createdAt",
            updated_path="engagement.lastUpdated",
            example={
                "engagement": {"id": 1101, "type": "NOTE", "timestamp": 1763910000000},
                "metadata": {"body": "Sketch of the engine"},
            },
        ),
        *DATED_TYPES,
    )
)
"""All types that HubSpot defines, in the order in which they are named to clients."""
