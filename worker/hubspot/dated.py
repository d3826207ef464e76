"""The dated API's questions and objects <-> the documented shape, so that a client need not know which API was asked.

Ids are shared by both APIs. What the dated API does not have (identity profiles, form submissions, merge audits, the
time of each property value) is left out, not invented; property values stay as they come, dates in ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from worker.pages import PAGE_FORMATS, ExportType, Offset, PageUnreadableError

MOST_RECORDS = 100
PROPERTY_PARAMETERS = frozenset({"property", "properties"})  # contacts spell it in the singular

_NOTE_PROPERTIES = ("hs_note_body", "hs_body_preview", "hs_timestamp", "hubspot_owner_id")
_ASSOCIATED = {
    ExportType.DEALS: {
        "contacts": "associatedVids",
        "companies": "associatedCompanyIds",
        "deals": "associatedDealIds",
        "tickets": "associatedTicketIds",
    },
    ExportType.NOTES: {
        "contacts": "contactIds",
        "companies": "companyIds",
        "deals": "dealIds",
        "tickets": "ticketIds",
    },
}

_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")  # so many digits are an integer to MongoDB

Pairs = list[tuple[str, str]]


class _Reference(msgspec.Struct):
    id: str


class _References(msgspec.Struct):
    results: list[_Reference]


class _Object(msgspec.Struct, rename="camel"):
    id: str
    created_at: str
    updated_at: str
    properties: dict[str, str | None] = {}
    archived: bool = False
    url: str | None = None
    associations: dict[str, _References] = {}


class _Next(msgspec.Struct):
    after: str


class _Paging(msgspec.Struct):
    next: _Next | None = None


class _Body(msgspec.Struct):
    results: list[_Object]
    paging: _Paging | None = None


_decode = msgspec.json.Decoder(_Body).decode


def to_parameters(
    export_type: ExportType, *, count: int, after: Offset | None, legacy: Iterable[tuple[str, str]]
) -> Pairs:
    """Ask the dated API what the legacy parameters ask the legacy one; those it does not know go on unchanged."""
    wanted = _NOTE_PROPERTIES if export_type is ExportType.NOTES else ()
    names = dict.fromkeys(wanted)
    associates = export_type is ExportType.NOTES
    others: Pairs = []
    for name, value in legacy:
        if name in PROPERTY_PARAMETERS:
            names.update(dict.fromkeys(value.split(",")))
        elif name == "includeAssociations":
            associates = value == "true"
        else:
            others.append((name, value))
    return [
        ("limit", str(min(count, MOST_RECORDS))),
        *([] if after is None else [("after", str(after))]),
        *([("properties", ",".join(names))] if names else []),
        *([("associations", ",".join(_ASSOCIATED.get(export_type, {})))] if associates else []),
        *others,
    ]


def to_documented_body(export_type: ExportType, body: bytes) -> bytes:
    """Write a dated page in the documented shape. Raises PageUnreadableError when it is no such page."""
    try:
        page = _decode(body)
        records = [_RECORDS[export_type](item) for item in page.results]
        following = page.paging.next if page.paging is not None else None
        offset = _offset(following.after) if following is not None else _last_offset(page.results)
    except (msgspec.DecodeError, ValueError) as error:
        raise PageUnreadableError("HubSpot's answer is not the list of objects it should be") from error
    keys = PAGE_FORMATS[export_type]
    return msgspec.json.encode({keys.list_key: records, keys.more_key: following is not None, keys.offset_key: offset})


def _offset(after: str) -> Offset:
    """Give `after` as it is, as the integer that the documented body has wherever it reads as one."""
    return int(after) if _INTEGER.fullmatch(after) else after


def _last_offset(objects: Sequence[_Object]) -> int:
    """Give an offset behind the last record, as the legacy API sends one on its last page; 0 for an empty one.

    HubSpot gives none. `after` includes the record that it names, so that nothing but new records comes from there on.
    """
    return int(objects[-1].id) + 1 if objects else 0


def _contact(item: _Object) -> dict[str, Any]:
    return {
        "addedAt": _milliseconds(item.created_at),
        "vid": int(item.id),
        "canonical-vid": int(item.id),
        "is-contact": True,
        **({"profile-url": item.url} if item.url is not None else {}),
        "properties": _properties(item),
    }


def _company(item: _Object) -> dict[str, Any]:
    return {"companyId": int(item.id), "isDeleted": item.archived, "properties": _properties(item)}


def _deal(item: _Object) -> dict[str, Any]:
    return {
        "dealId": int(item.id),
        "isDeleted": item.archived,
        "associations": _associations(ExportType.DEALS, item),
        "properties": _properties(item),
    }


def _note(item: _Object) -> dict[str, Any]:
    properties = item.properties
    owner, stamp, preview = (properties.get(n) for n in ("hubspot_owner_id", "hs_timestamp", "hs_body_preview"))
    return {
        "engagement": {
            "id": int(item.id),
            "createdAt": _milliseconds(item.created_at),
            "lastUpdated": _milliseconds(item.updated_at),
            "type": "NOTE",
            "timestamp": _milliseconds(stamp or item.created_at),
            **({"ownerId": int(owner)} if owner else {}),
            **({"bodyPreview": preview} if preview is not None else {}),
        },
        "associations": _associations(ExportType.NOTES, item),
        "metadata": {"body": properties.get("hs_note_body") or ""},
    }


_RECORDS = {
    ExportType.CONTACTS: _contact,
    ExportType.COMPANIES: _company,
    ExportType.DEALS: _deal,
    ExportType.NOTES: _note,
}


def _properties(item: _Object) -> dict[str, dict[str, str]]:
    """Wrap each value as the legacy API does, which leaves properties without a value out."""
    return {name: {"value": value} for name, value in item.properties.items() if value is not None}


def _associations(export_type: ExportType, item: _Object) -> dict[str, list[int]]:
    return {
        legacy: list(dict.fromkeys(int(other.id) for other in item.associations[name].results))
        if name in item.associations
        else []
        for name, legacy in _ASSOCIATED[export_type].items()
    }


def _milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
