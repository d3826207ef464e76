"""The declarations of types that only the dated API has: their records are HubSpot's own bodies; pure."""

from __future__ import annotations

from dataclasses import replace

from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.object_type import DatedList, ObjectType, PageFormat, RecordShape
from worker.records.types import NOTES

MOST_RECORDS = 100
"""What HubSpot puts in one page of a list of the dated API, or gives for one call by ids."""

MOST_WITH_HISTORY = 50
"""The same where the history of a property is asked for; more is refused with 400."""

MOST_SEARCHED = 200
"""What HubSpot gives for one search."""

_PAGING = PageFormat(list_key="results", more_key="paging", offset_key="paging", most_records=MOST_RECORDS)
_OBJECT_TIMES = frozenset({"createdAt", "updatedAt", "archivedAt"})


def dated_type(
    name: str, *, type_id: str | None, path: str = "", scopes: tuple[str, ...], has_pipelines: bool = False
) -> ObjectType:
    """Declare a type of such records."""
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


_ACTIVITIES = tuple(
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

DATED_TYPES = (
    dated_type("tickets", type_id="0-5", scopes=("tickets",), has_pipelines=True),
    dated_type("products", type_id="0-7", scopes=("crm.objects.products.read", "e-commerce")),
    dated_type("line_items", type_id="0-8", scopes=("crm.objects.line_items.read", "e-commerce")),
    dated_type("quotes", type_id="0-14", scopes=("crm.objects.quotes.read",)),
    dated_type("leads", type_id="0-136", scopes=("crm.objects.leads.read",), has_pipelines=True),
    *(dated_type(each.path, type_id=number, scopes=each.scopes) for each, number in _ACTIVITIES),
    dated_type("communications", type_id="0-18", scopes=("crm.objects.contacts.read",)),
    _OWNERS,
)
"""In the order in which they are named to clients."""
