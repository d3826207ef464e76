"""Links: what records are associated with, from the answers of the dated API into its records; pure.

Published: a call by ids gives `{"from": {"id"}, "to": [{"toObjectId", "associationTypes"}], "paging"}` for each, a
record of a list `{"results": [{"id", "type"}], "paging"}` for each type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from worker.hubspot.dated.objects import as_written, decode_fields, integer_of, written

_NO_ASSOCIATIONS = "NO_ASSOCIATIONS_FOUND"
_FIELD = "associations"

Entry = dict[str, Any]


@dataclass(slots=True)
class Links:
    """What was read of one type: ids of records -> what they are associated with. Of `unread` ones not all is known."""

    found: dict[str, list[Entry]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)


class Listed(msgspec.Struct):
    """The associations of one type in a record of a list."""

    results: list[Entry]
    paging: Any = None

    @property
    def after(self) -> str | None:
        """Where they go on; None: these are all."""
        return _after(self.paging)


class _Linked(msgspec.Struct):
    to: list[Entry]
    of: Any = msgspec.field(name="from", default=None)
    paging: Any = None


_decode_listed = msgspec.json.Decoder(Listed, float_hook=as_written).decode
_decode_linked = msgspec.json.Decoder(_Linked, float_hook=as_written).decode


def read_linked(result: msgspec.Raw) -> tuple[str, list[Entry], str | None] | None:
    """Return a record's id, what it is associated with, and where that goes on; None for what is no such result."""
    try:
        linked = _decode_linked(result)
    except msgspec.ValidationError:
        return None
    record_id = _text(linked.of.get("id")) if isinstance(linked.of, dict) else None
    return None if record_id is None else (record_id, linked.to, _after(linked.paging))


def is_without(error: Mapping[str, Any]) -> bool:
    """Whether an error says no more than that a record has no associations."""
    return str(error.get("subCategory")).endswith(_NO_ASSOCIATIONS)


def ids_of_error(error: Mapping[str, Any], otherwise: Sequence[str] = ()) -> Iterator[str]:
    """Return the ids that an error is about, which its context names one way or another; all where it names none."""
    context = error.get("context")
    values = context.values() if isinstance(context, dict) else ()
    named = [text for value in values if isinstance(value, list) for each in value if (text := _text(each)) is not None]
    yield from named or otherwise


def cut_types(record: msgspec.Raw) -> dict[str, Listed]:
    """Return those associations of a record of a list behind which there are more, by type."""
    try:
        named = decode_fields(decode_fields(record).get(_FIELD, b"{}"))
    except msgspec.ValidationError:
        return {}
    found = ((name, _listed(value)) for name, value in named.items())
    return {name: listed for name, listed in found if listed is not None and listed.after is not None}


def joined(listed: Listed, links: Links, record_id: str) -> bytes:
    """Write the associations of a list with those that it lacks, each id once; those left unread keep their paging."""
    types = {str(each.get("type")): each.get("type") for each in listed.results}
    known = {_text(each.get("id")) for each in listed.results}
    more = entries(links.found.get(record_id, []), next(iter(types.values())) if len(types) == 1 else None)
    results = [*listed.results, *(each for each in more if each["id"] not in known)]
    paging = {"paging": listed.paging} if record_id in links.unread else {}
    return msgspec.json.encode({"results": results, **paging})


def entries(given: Sequence[Entry], kind: Any = None) -> list[Entry]:  # noqa: ANN401 - whatever came
    """Return associations as lists have them; `kind` is what the list calls their type, where that is known.

    Lists name the labels of an association among the types; those that come by ids are kept as they come.
    """
    ids = ((each, _text(each.get("toObjectId", each.get("id")))) for each in given)
    return [{"id": text, **_type_of(each, kind), **_labels_of(each)} for each, text in ids if text is not None]


def _type_of(entry: Entry, kind: Any) -> Entry:  # noqa: ANN401 - whatever came
    name = entry.get("type", kind)
    return {} if name is None else {"type": name}


def _labels_of(entry: Entry) -> Entry:
    types = entry.get("associationTypes")
    is_labelled = isinstance(types, list) and any(isinstance(each, dict) and each.get("label") for each in types)
    return {"associationTypes": types} if is_labelled else {}


def linked_record(record: msgspec.Raw, named: Mapping[str, bytes]) -> msgspec.Raw:
    """Write a record with associations by type, in place of those that it has of these types."""
    fields = decode_fields(record)
    return written({**fields, _FIELD: written({**decode_fields(fields.get(_FIELD, b"{}")), **named})})


def _listed(value: msgspec.Raw) -> Listed | None:
    try:
        return _decode_listed(value)
    except msgspec.ValidationError:
        return None


def _after(paging: Any) -> str | None:  # noqa: ANN401 - whatever came
    following = paging.get("next") if isinstance(paging, dict) else None
    return _text(following.get("after")) if isinstance(following, dict) else None


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever came
    number = integer_of(value)
    return str(number) if number is not None else value if isinstance(value, str) and value else None
