"""What callers ask of HubSpot's definitions, and the answers; pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.definitions.lists import (
    OWNERS,
    SCHEMAS,
    Listed,
    ListKind,
    ListReader,
    read_pipelines,
    read_properties,
    read_sensitive,
)
from worker.records.types import ExportType


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDefinitions:
    """Show definitions of one kind: those of a type, or of the portal."""

    kind: ListKind
    export_type: ExportType | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckProperties:
    """Find out which of these names are no properties of a type."""

    export_type: ExportType
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """The definitions, maybe some minutes old."""

    listed: Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedProperties:
    """The names that HubSpot does not define, each with the nearest ones that it does."""

    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_answer(asked: ListDefinitions, reader: ListReader) -> Listed:
    """Read all lists that the answer takes."""
    if asked.export_type is None:
        return reader.read(SCHEMAS) if asked.kind is ListKind.SCHEMAS else reader.read(OWNERS, required=True)
    if asked.kind is ListKind.PIPELINES:
        return read_pipelines(asked.export_type, reader)
    found = read_properties(asked.export_type, reader)
    return Listed(
        properties=(*found.properties, *read_sensitive(asked.export_type, reader)),
        refused=found.refused,
        status=found.status,
    )
