"""Renders records as JSON bytes: a compiled template per content variant, filled with what differs."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from sandbox.fake_hubspot.records.dated_object import dated_object
from sandbox.fake_hubspot.records.links import Links, Numbers, association_types, next_page, page_after
from sandbox.fake_hubspot.records.oddities import OddRecord, odd_record
from sandbox.fake_hubspot.records.record_counts import RecordFacts, RecordSet
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import VARIANTS, RecordType, Shape
from sandbox.fake_hubspot.records.template import Template

_SHAPES_KEPT = 64
_ESCAPED_VARIANT = 5
_FIRST_MERGED_ID = 700_000_000_000


class Templates:
    """An LRU cache of compiled templates by shape, shared by all accounts."""

    def __init__(self) -> None:
        self._by_shape: OrderedDict[tuple[RecordType, Shape], dict[int, Template]] = OrderedDict()

    def of(self, record_type: RecordType, shape: Shape) -> dict[int, Template]:
        """Return the templates by variant; the caller adds missing ones."""
        compiled = self._by_shape.setdefault((record_type, shape), {})
        self._by_shape.move_to_end((record_type, shape))
        if len(self._by_shape) > _SHAPES_KEPT:
            self._by_shape.popitem(last=False)
        return compiled


class Renderer:
    """Renders the records of one account."""

    def __init__(
        self,
        hub_id: int,
        record_sets: Mapping[str, RecordSet],
        templates: Templates,
        *,
        record_types: Mapping[str, RecordType] = RECORD_TYPES,
        numbers: Numbers | None = None,
    ) -> None:
        self.odd: Mapping[Any, Sequence[OddRecord]] = {}
        self.record_types = record_types
        self.links = Links(record_types, record_sets, numbers or {})
        self._linked = {
            f"to_{each.name}".encode(): record_sets[each.record_set].linked_id for each in record_types.values()
        }
        self._hub = b"%d" % hub_id
        self._record_sets = record_sets
        self._templates = templates

    def linked(self, type_: str, shape: Shape) -> Shape:
        """Return the shape with what the records of a type can be associated with."""
        record_type = self.record_types[type_]
        return replace(shape, linkable=self.links.linkable(record_type), many=self.links.many(record_type))

    def members(self, record_type: RecordType, indexes: Iterator[int]) -> Iterator[int]:
        """Return those of the indexes whose records are of the type: all, or those of the kind that it views."""
        if (includes := record_type.includes) is None:
            return indexes
        facts = self._record_sets[record_type.record_set].facts
        return (index for index in indexes if includes(facts(index).variant))

    def render(self, type_: str, indexes: Sequence[int], shape: Shape) -> list[bytes]:
        """Render records of one type, in the order of `indexes`."""
        record_type = self.record_types[type_]
        record_set, templates = self._record_sets[record_type.record_set], self._templates.of(record_type, shape)
        rendered: list[bytes] = []
        for index in indexes:
            facts = record_set.facts(index)
            variant = (facts.scramble >> 16) % VARIANTS  # `facts.variant`, without a call
            template = templates.get(variant)
            if template is None:
                template = templates[variant] = _compile(record_type, variant, shape)
            slots = {
                b"id": b"%d" % facts.id,
                b"hub": self._hub,
                b"created": b"%d" % facts.created_ms,
                b"modified": b"%d" % facts.modified_ms,
            }
            for slot in template.one_link:
                slots[slot] = b"%d" % (self._linked[slot](index) or 0)
            for slot, form, target in template.many_links:
                slots[slot] = self._links(record_type, facts.id, index, form=form, target=target)
            if shape.dated:
                slots[b"created_iso"] = iso(facts.created_ms).encode()
                slots[b"modified_iso"] = iso(facts.modified_ms).encode()
            if not _RARE.isdisjoint(template.slots):
                slots.update(_rare_slots(facts))
            if shape.archived:
                slots[b"archived_iso"] = iso(record_set.archived_at_ms(index)).encode()
            rendered.append(template.fill(slots))
        odd = self.odd.get(record_type.record_set)
        return _odd(odd, rendered, indexes, shape) if odd else rendered

    def _links(self, record_type: RecordType, record_id: int, index: int, *, form: str, target: str) -> bytes:
        other = self.record_types[target]
        ids = self.links.ids(record_type, index, other)
        if form == "all":
            return b",".join(b"%d" % each for each in ids)
        page, last = page_after(ids, 0)
        results = [
            {"id": str(each), "type": name}
            for each in page
            for name in association_types(record_type, other, is_first=each == ids[0])
        ]
        paging = {} if last is None else {"paging": next_page(record_type, record_id, other, last)}
        return msgspec.json.encode({"results": results, **paging})


_RARE = frozenset({b"modified_ms", b"between", b"between_iso", b"merged"})


def _rare_slots(facts: RecordFacts) -> dict[bytes, bytes]:
    between_ms = (facts.created_ms + facts.modified_ms) // 2
    return {
        b"modified_ms": b"%d" % facts.modified_ms,
        b"between": b"%d" % between_ms,
        b"between_iso": iso(between_ms).encode(),
        b"merged": b"%d" % (_FIRST_MERGED_ID + facts.id),
    }


def _odd(odd: Sequence[OddRecord], rendered: list[bytes], indexes: Sequence[int], shape: Shape) -> list[bytes]:
    in_turn = (*odd, None)
    names = [in_turn[index % len(in_turn)] for index in indexes]
    return [
        record if name is None else odd_record(name, record, dated=shape.dated)
        for name, record in zip(names, rendered, strict=True)
    ]


def iso(epoch_ms: int) -> str:
    """Format a time as HubSpot does: `2026-02-25T16:23:49.023Z`."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _compile(record_type: RecordType, variant: int, shape: Shape) -> Template:
    value = (
        dated_object(record_type, variant, shape)
        if shape.dated or record_type.legacy is None
        else record_type.legacy(variant, shape, record_type.properties(variant))
    )
    # One variant in eight uses \u escapes, including surrogate pairs: readers must handle both.
    return Template(value, ascii_only=variant % 8 == _ESCAPED_VARIANT)
