"""Associations that a legacy list does not give, written into its records under the names of types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from worker.hubspot.dated.association_links import Links
from worker.hubspot.dated.field_values import number
from worker.hubspot.dated.objects import decode_fields, written
from worker.records.object_type import ObjectType
from worker.records.page import Page, ids_of, split_records, with_records
from worker.records.registry import OBJECT_TYPES

_FIELD = "associations"

ReadLinks = Callable[[str, str, list[str]], Links]
"""Reads what records of one type, by their ids, are associated with of another."""


def with_associations(export_type: str, page: Page, to: Sequence[str], *, read: ReadLinks) -> tuple[Page, int]:
    """Return a page with the associations of its records, and of how many of them not all could be read."""
    known = OBJECT_TYPES[export_type]
    records, ids = split_records(export_type, page.body), ids_of(export_type, page)
    lists = [_list_of(known, record) for record in records]
    links = {
        (of, name): read(of, name, [str(each) for each, path in zip(ids, lists, strict=True) if each and path == of])
        for of in dict.fromkeys(filter(None, lists))
        for name in to
    }
    linked, incomplete = [], 0
    for record, each, of in zip(records, ids, lists, strict=True):
        of_record = {name: links[of, name] for name in to if of is not None}
        linked.append(_with(record, {name: _ids(found, str(each)) for name, found in of_record.items()}))
        is_known = of is not None and each is not None
        incomplete += not is_known or any(str(each) in found.unread for found in of_record.values())
    return replace(page, body=with_records(export_type, page.body, linked)), incomplete


def _list_of(known: ObjectType, record: bytes) -> str | None:
    """Return the list of the dated API that holds a record; None: nothing tells."""
    if known.kind_path is None:
        return known.dated.path
    try:
        kind: Any = msgspec.json.decode(record)
        for name in known.kind_path:
            kind = kind[name]
    except (msgspec.DecodeError, KeyError, TypeError, IndexError):
        return None
    return next((each.path for each in known.dated.kinds if each.name == kind), None)


def _ids(links: Links, record_id: str) -> list[Any]:
    found = (number(each.get("toObjectId", each.get("id"))) for each in links.found.get(record_id, []))
    return list(dict.fromkeys(each for each in found if isinstance(each, int | str)))


def _with(record: bytes, links: Mapping[str, list[Any]]) -> bytes:
    """Write a record with further associations; what is no object stays as it came."""
    try:
        fields = decode_fields(record)
        associations = decode_fields(fields.get(_FIELD, b"{}"))
    except msgspec.ValidationError:
        return record
    encoded = {name: msgspec.json.encode(ids) for name, ids in links.items()}
    return bytes(written({**fields, _FIELD: written({**associations, **encoded})}))
