"""The registry of object types: everything that is known of a type stands here, and nowhere else; pure.

A further type is one more value in `OBJECT_TYPES`. Whatever depends on the type asks by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from worker.records.object_type import (
    ActivityKind,
    ChangeFeed,
    DatedList,
    LegacyList,
    ObjectType,
    PageFormat,
    RecordShape,
)
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES

DATED_LIST_KEY = "results"
"""What every list of the dated API is called."""

CUSTOM_OBJECTS = "custom_objects"
"""What all custom objects together are called, where each type needs no place of its own."""

MOST_RECORDS = 100
"""What HubSpot puts in one page of a list of the dated API, or gives for one call by ids."""

MOST_WITH_HISTORY = 50
"""The same where the history of a property is asked for; more is refused with 400."""

_FULL_NAME = re.compile(r"p[0-9]{1,19}_[A-Za-z0-9_]{1,200}").fullmatch


class _ObjectTypes(dict[str, ObjectType]):
    """Types by their names. Custom objects can be asked for by name, but are not listed: each account has its own."""

    def __missing__(self, name: str) -> ObjectType:
        if not is_custom_name(name):
            raise KeyError(name)
        return _object(name, type_id=None, path=name, scopes=("crm.objects.custom.read",))


def is_custom_name(name: str) -> bool:
    """Whether a name is a custom object's `fullyQualifiedName`: `p<portal>_<name>`."""
    return _FULL_NAME(name) is not None


def is_type(name: str) -> bool:
    """Whether there is, or can be, a type of this name."""
    return name in OBJECT_TYPES or is_custom_name(name)


_PAGING = PageFormat(list_key=DATED_LIST_KEY, more_key="paging", offset_key="paging", most_records=MOST_RECORDS)
_OBJECT_TIMES = frozenset({"createdAt", "updatedAt", "archivedAt"})


def _object(
    name: str, *, type_id: str | None, path: str = "", scopes: tuple[str, ...], has_pipelines: bool = False
) -> ObjectType:
    """Declare a type that only the dated API has: its records are HubSpot's own bodies."""
    return ObjectType(
        name=name,
        type_id=type_id,
        page=_PAGING,
        id_path=("id",),
        scopes=scopes,
        dated=DatedList(path=path or name, shape=RecordShape.OBJECT),
        has_pipelines=has_pipelines,
        time_paths=_OBJECT_TIMES,
        created_path="createdAt",
        updated_path="updatedAt",
        example={
            "id": "1301",
            "properties": {"hs_object_id": "1301"},
            "createdAt": "2026-02-25T16:23:49.023Z",
            "updatedAt": "2026-03-12T10:04:17.969Z",
            "archived": False,
        },
    )


_ACTIVITY = ("crm.objects.contacts.read",)
ACTIVITY_PROPERTIES = (
    "hs_timestamp",
    "hubspot_owner_id",
    "hs_created_by_user_id",
    "hs_updated_by_user_id",
    "hs_body_preview",
    "hs_body_preview_html",
    "hs_body_preview_is_truncated",
    "hs_attachment_ids",
    "hs_queue_membership_ids",
    "hs_all_accessible_team_ids",
)
ACTIVITY_KINDS = (
    ActivityKind(name="NOTE", path="notes", scopes=_ACTIVITY, properties=("hs_note_body",)),
    ActivityKind(
        name="CALL",
        path="calls",
        scopes=_ACTIVITY,
        properties=(
            "hs_call_body",
            "hs_call_title",
            "hs_call_duration",
            "hs_call_status",
            "hs_call_to_number",
            "hs_call_from_number",
            "hs_call_disposition",
            "hs_call_recording_url",
        ),
    ),
    ActivityKind(
        name="EMAIL",
        path="emails",
        scopes=(*_ACTIVITY, "sales-email-read"),
        properties=(
            "hs_email_subject",
            "hs_email_html",
            "hs_email_text",
            "hs_email_headers",
            "hs_email_status",
            "hs_email_direction",
        ),
        further_names=("INCOMING_EMAIL", "FORWARDED_EMAIL"),
    ),
    ActivityKind(
        name="MEETING",
        path="meetings",
        scopes=_ACTIVITY,
        properties=(
            "hs_meeting_title",
            "hs_meeting_body",
            "hs_meeting_start_time",
            "hs_meeting_end_time",
            "hs_meeting_location",
            "hs_meeting_outcome",
            "hs_internal_meeting_notes",
            "hs_meeting_external_url",
        ),
    ),
    ActivityKind(
        name="TASK",
        path="tasks",
        scopes=_ACTIVITY,
        properties=(
            "hs_task_subject",
            "hs_task_body",
            "hs_task_status",
            "hs_task_priority",
            "hs_task_type",
            "hs_task_reminders",
            "hs_task_completion_date",
            "hs_task_for_object_type",
        ),
    ),
)
"""The kinds that the legacy feed of engagements holds and the dated API has lists of, under `NOTES`."""

_FURTHER_ACTIVITIES = tuple(
    (each, {"calls": "0-48", "emails": "0-49", "meetings": "0-47", "tasks": "0-27"}[each.path])
    for each in ACTIVITY_KINDS
    if each.path != NOTES
)
_OWNERS = ObjectType(
    name="owners",
    type_id=None,
    page=replace(_PAGING, most_records=500),
    id_path=("id",),
    scopes=("crm.objects.owners.read",),
    dated=DatedList(path="/crm/owners/", shape=RecordShape.OBJECT, has_properties=False),
    time_paths=_OBJECT_TIMES,
    created_path="createdAt",
    updated_path="updatedAt",
    example={
        "id": "41629779",
        "email": "ada@example.com",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "archived": False,
    },
)

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
        _object("tickets", type_id="0-5", scopes=("tickets",), has_pipelines=True),
        _object("products", type_id="0-7", scopes=("crm.objects.products.read", "e-commerce")),
        _object("line_items", type_id="0-8", scopes=("crm.objects.line_items.read", "e-commerce")),
        _object("quotes", type_id="0-14", scopes=("crm.objects.quotes.read",)),
        _object("leads", type_id="0-136", scopes=("crm.objects.leads.read",), has_pipelines=True),
        *(_object(each.path, type_id=number, scopes=each.scopes) for each, number in _FURTHER_ACTIVITIES),
        _object("communications", type_id="0-18", scopes=_ACTIVITY),
        _OWNERS,
    )
)
"""All types that HubSpot defines, in the order in which they are named to clients."""
