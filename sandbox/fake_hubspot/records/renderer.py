"""Renders records as JSON bytes: a compiled template per content variant, filled with what differs."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.fake_hubspot.records.dated_object import dated_object
from sandbox.fake_hubspot.records.oddities import OddRecord, odd_record
from sandbox.fake_hubspot.records.record_counts import RecordFacts, RecordSet
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import VARIANTS, RecordType, Shape
from sandbox.fake_hubspot.records.template import Template

_SHAPES_KEPT = 64
_ESCAPED_VARIANT = 5
_LINK_SLOTS = {b"contact_id": "contacts", b"company_id": "companies", b"deal_id": "deals"}


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
        record_types: Mapping[str, RecordType] = RECORD_TYPES,
    ) -> None:
        self.odd: Mapping[Any, Sequence[OddRecord]] = {}
        self.record_types = record_types
        self._hub = b"%d" % hub_id
        self._record_sets = record_sets
        self._templates = templates

    def linkable(self) -> tuple[str, ...]:
        """Return the types that associations of this account's records can point to."""
        return tuple(name for name in ("contacts", "companies", "deals") if self._linked_id(name, 0))

    def members(self, record_type: RecordType, indexes: Iterator[int]) -> Iterator[int]:
        """Return those of the indexes whose records are of the type: all, or those of the kind that it views."""
        if (includes := record_type.includes) is None:
            return indexes
        facts = self._record_sets[record_type.record_set].facts
        return (index for index in indexes if includes(_variant(facts(index))))

    def render(self, type_: str, indexes: Sequence[int], shape: Shape) -> list[bytes]:
        """Render records of one type, in the order of `indexes`."""
        record_type = self.record_types[type_]
        record_set, templates = self._record_sets[record_type.record_set], self._templates.of(record_type, shape)
        rendered: list[bytes] = []
        for index in indexes:
            facts = record_set.facts(index)
            variant = _variant(facts)
            template = templates.get(variant)
            if template is None:
                template = templates[variant] = _compile(record_type, variant, shape)
            rendered.append(template.fill(self._slots(facts, index, template.slots)))
        odd = self.odd.get(record_type.record_set)
        return _odd(odd, rendered, indexes, shape) if odd else rendered

    def _slots(self, facts: RecordFacts, index: int, wanted: frozenset[bytes]) -> dict[bytes, bytes]:
        slots = {
            b"id": b"%d" % facts.id,
            b"hub": self._hub,
            b"created": b"%d" % facts.created_ms,
            b"modified": b"%d" % facts.modified_ms,
            b"modified_ms": b"%d" % facts.modified_ms,
        }
        for slot in wanted.intersection(_LINK_SLOTS):
            slots[slot] = self._linked_id(_LINK_SLOTS[slot], index)
        if b"created_iso" in wanted:
            slots[b"created_iso"] = iso(facts.created_ms).encode()
            slots[b"modified_iso"] = iso(facts.modified_ms).encode()
        return slots

    def _linked_id(self, type_: str, index: int) -> bytes:
        linked = self._record_sets[type_].linked_id(index)
        return b"" if linked is None else b"%d" % linked


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


def _variant(facts: RecordFacts) -> int:
    # Not the lowest bits: they determine the id.
    return (facts.scramble >> 16) % VARIANTS


def _compile(record_type: RecordType, variant: int, shape: Shape) -> Template:
    legacy = None if shape.dated else record_type.legacy
    value = legacy(variant, shape) if legacy else dated_object(record_type, variant, shape)
    # One variant in eight uses \u escapes, including surrogate pairs: readers must handle both.
    return Template(value, ascii_only=variant % 8 == _ESCAPED_VARIANT)
