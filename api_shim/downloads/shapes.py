"""Shapes: which fields the records of an export have, and readers that decode such records in one call.

Decoding records field by field takes most of a table's time. Records of one type look alike, so a few of them suffice
to build a decoder for nearly all others; records of another shape are left to `fields`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from api_shim.downloads.fields import DEEPEST, Fields, decode_fields, joined
from api_shim.downloads.layouts import ASSOCIATIONS, HISTORY, PROPERTIES, Layout, link_path
from worker.records.conversion import new_decoder

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What readers raise for a record of another shape than those that they were built from."""

_NOTHING = msgspec.Raw()
_NOTHING_BY_NAME: Mapping[str, Any] = MappingProxyType({})
_MOST_FIELDS = 200  # of one object: msgspec searches the names of a struct linearly
_NOT_IN_NAMES = frozenset(map(chr, range(32))) | frozenset('"\\')  # msgspec does not allow these in names of fields


class _Anything(msgspec.Struct, gc=False, frozen=True):
    """An object whose fields are skipped."""


class _Property(msgspec.Struct, gc=False, frozen=True):
    value: str | None = ""


class _Link(msgspec.Struct, gc=False, frozen=True):
    id: str


class _Links(msgspec.Struct, gc=False, frozen=True):
    results: list[_Link] = []


_NO_PROPERTY = _Property()
_NO_LINKS = _Links()
_NoObject: TypeAlias = str | int | float | bool | list[msgspec.Raw] | None


@dataclass(slots=True)
class _Field:
    """The kinds of values that a field has had, and the fields of those that were objects."""

    is_null: bool = False
    is_object: bool = False
    is_text: bool = False
    is_other: bool = False
    fields: dict[str, _Field] = field(default_factory=dict)

    def note(self, value: bytes, depth: int) -> bool:
        """Note a value; return whether its kind is new."""
        before, first, is_new = self._kinds, value[:1], False
        if first == b"{" and depth < DEEPEST:
            self.is_object = True
            is_new = self.note_fields(decode_fields(value), depth + 1)
        elif first == b'"':
            self.is_text = True
        elif value == b"null":
            self.is_null = True
        else:
            self.is_other = True
        return is_new or before != self._kinds

    @property
    def _kinds(self) -> tuple[bool, ...]:
        return self.is_null, self.is_object, self.is_text, self.is_other

    def note_fields(self, fields: Fields, depth: int) -> bool:
        """Note the fields of an object; return whether anything about them is new."""
        is_new = False
        for name, value in fields.items():
            if _NOT_IN_NAMES.isdisjoint(name):
                is_new |= name not in self.fields
                is_new |= self.fields.setdefault(name, _Field()).note(bytes(value), depth)
        return is_new


class Shape:
    """The fields of the records that it has learned."""

    def __init__(self, layout: Layout = Layout.LEGACY) -> None:
        self._layout = layout
        self._record = _Field(is_object=True)

    def learn(self, record: bytes) -> bool:
        """Note a record; return whether anything about it is new.

        Raises msgspec.DecodeError and UnicodeDecodeError if it is not JSON.
        """
        if record[:1] != b"{":
            return False
        fields = decode_fields(record)
        for name in self._by_name(None, None):
            fields.pop(name, None)
        return self._record.note_fields(fields, 1)

    def reader(self, properties: Sequence[str], links: Sequence[str] = ()) -> Reader | None:
        """Return a reader of such records with these properties, and the ids of what is associated by these names.

        None if it would be slow, or if two fields have the same path: then the order within a record decides.
        """
        if _is_wide(self._record):
            return None
        by_name = self._by_name(dict[str, _Property], dict[str, str | None])
        reader = Reader(_Object.of(self._record, _type_of, by_name=by_name), properties, links, layout=self._layout)
        paths = [*(column.path for column in reader.columns), *map(link_path, links)]
        return reader if len({*paths}) == len(paths) else None

    def names_reader(self) -> NamesReader | None:
        """Return a reader of the property names of such records; None if it would be slow."""
        if _is_wide(self._record):
            return None
        by_name = self._by_name(dict[str, _Anything], dict[str, msgspec.Raw], links=dict[str, msgspec.Raw])
        return NamesReader(_Object.of(self._record, _strict_type_of, by_name=by_name), layout=self._layout)

    def _by_name(self, legacy: Any, own: Any, *, links: Any = dict[str, _Links]) -> dict[str, Any]:  # noqa: ANN401 - types
        """Return the fields that are no columns themselves, and their types in either layout."""
        if self._layout is Layout.LEGACY:
            return {PROPERTIES: legacy}
        return {PROPERTIES: own, ASSOCIATIONS: links, HISTORY: dict[str, msgspec.Raw]}


def _is_wide(found: _Field) -> bool:
    return len(found.fields) > _MOST_FIELDS or any(map(_is_wide, found.fields.values()))


_TypeOf: TypeAlias = "Callable[[_Object | _Field, _Field], tuple[Any, object]]"


@dataclass(frozen=True, slots=True)
class _Object:
    """An object as a struct type, and its fields."""

    type: type[msgspec.Struct]
    fields: list[tuple[str, _Object | _Field]]

    @classmethod
    def of(cls, found: _Field, type_of: _TypeOf, *, by_name: Mapping[str, Any] = _NOTHING_BY_NAME) -> _Object:
        """Build a struct that rejects unknown names, and kinds of values that its fields have not had."""
        fields: list[tuple[str, _Object | _Field]]
        fields = [(name, cls.of(each, type_of) if each.is_object else each) for name, each in found.fields.items()]
        members: list[Any] = [
            (f"f{index}", *type_of(each, found.fields[name])) for index, (name, each) in enumerate(fields)
        ]
        names = {f"f{index}": name for index, (name, _) in enumerate(fields)}
        members += [(name, each, {}) for name, each in by_name.items()]
        kind = msgspec.defstruct("Record", members, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)
        return cls(kind, fields)


def _type_of(each: _Object | _Field, found: _Field) -> tuple[Any, object]:
    """Return the type of a field, and its default."""
    if isinstance(each, _Object):
        return each.type | None, None
    return (str | None, None) if found.is_text and not found.is_other else (msgspec.Raw, _NOTHING)


def _strict_type_of(each: _Object | _Field, found: _Field) -> tuple[Any, object]:
    """As `_type_of`, but accept an object or null only in fields that have had one."""
    if isinstance(each, _Object):
        return (each.type | None if found.is_null else each.type), msgspec.UNSET
    return (_NoObject if found.is_other else str | None), None


@dataclass(frozen=True, slots=True)
class Column:
    """A field that a reader returns: its index among a record's values, and its dotted path.

    Its values are text or None if `is_text`, and msgspec.Raw otherwise, empty if a record lacks the field.
    """

    index: int
    path: str
    is_text: bool


class Reader:
    """Reads records of one shape into lists of values: the fields by `columns`, then the links, then the properties."""

    def __init__(
        self, built: _Object, properties: Sequence[str], links: Sequence[str] = (), *, layout: Layout = Layout.LEGACY
    ) -> None:
        self._decode = new_decoder(built.type).decode
        self._properties, self._links, self._is_own = properties, links, layout is Layout.OWN
        self._by_name_at = len(built.fields)
        self._objects: list[tuple[int, tuple[object, ...]]] = []
        self.columns: list[Column] = []
        by_name: list[tuple[str, None]] = [(PROPERTIES, None)]
        if self._is_own:
            by_name += [(ASSOCIATIONS, None), (HISTORY, None)]
        found: list[tuple[str, _Object | _Field | None]] = [*built.fields, *by_name]
        for index, (path, each) in enumerate(found):  # `found` grows on the way, as the values of a record do
            if isinstance(each, _Object):
                self._objects.append((index, msgspec.structs.astuple(each.type())))
                found += [(f"{path}.{name}", inner) for name, inner in each.fields]
            elif each is not None:
                self.columns.append(Column(index, path, is_text=each.is_text and not each.is_other))
        self.first_link = len(found)
        self.first_property = len(found) + len(links)
        self.blank = self.values(b"{}")

    def values(self, record: bytes) -> list[Any]:
        """Return a record's values. Raises msgspec.DecodeError or UnicodeDecodeError for another shape."""
        values = list(msgspec.structs.astuple(self._decode(record)))
        for index, blank in self._objects:
            each = values[index]
            values += blank if each is None else msgspec.structs.astuple(each)
        find = values[self._by_name_at].get
        if self._is_own:
            find_links = values[self._by_name_at + 1].get
            values += [joined(link.id for link in find_links(name, _NO_LINKS).results) for name in self._links]
            values += [find(name) or "" for name in self._properties]
        else:
            values += [find(name, _NO_PROPERTY).value or "" for name in self._properties]
        return values


class NamesReader:
    """Reads the names of the properties of records of one shape, and rejects records with other fields."""

    def __init__(self, built: _Object, *, layout: Layout = Layout.LEGACY) -> None:
        self._decode = new_decoder(built.type).decode
        self._is_own = layout is Layout.OWN

    def names(self, record: bytes) -> tuple[Iterable[str], Iterable[str]]:
        """Return the names of a record's properties, and those of what is associated.

        Raises what `Reader.values` raises.
        """
        read: Any = self._decode(record)
        return read.properties, read.associations if self._is_own else ()
