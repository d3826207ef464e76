"""The lists that HubSpot's definitions come in, and what they are together; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from worker.definitions.definition import CustomType, Owner, Pipeline, PropertyDefinition, Sensitivity
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType


class ListKind(StrEnum):
    """What a list is of."""

    SCHEMAS = "schemas"
    PROPERTIES = "properties"
    PIPELINES = "pipelines"
    OWNERS = "owners"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionList:
    """One list of HubSpot's: of a type by its path in the dated API, or of the portal, without one.

    Properties come by their sensitivity: HubSpot has no list of all.
    """

    kind: ListKind
    path: str = ""
    sensitivity: Sensitivity = Sensitivity.NONE

    @property
    def key(self) -> str:
        """Its name among those of its kind."""
        return self.path if self.sensitivity is Sensitivity.NONE else f"{self.path}/{self.sensitivity.value}"


SCHEMAS = DefinitionList(kind=ListKind.SCHEMAS)
OWNERS = DefinitionList(kind=ListKind.OWNERS)

_FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list as HubSpot gave it, in its order. `refused`: it gave none, for this reason, with this status."""

    properties: tuple[PropertyDefinition, ...] = ()
    custom_types: tuple[CustomType, ...] = ()
    pipelines: tuple[Pipeline, ...] = ()
    owners: tuple[Owner, ...] = ()
    refused: str | None = None
    status: int | None = None


class ListReader(Protocol):
    """Reads lists, from wherever."""

    def read(self, wanted: DefinitionList, *, required: bool = False) -> Listed:
        """Return a list. Unless it is `required`, one that HubSpot refuses is `refused` instead of an error."""


def read_properties(export_type: ExportType, reader: ListReader) -> Listed:
    """Read a type's properties that are not sensitive, each once, those of its kinds together.

    A property names all kinds that have it. Kinds that HubSpot refuses are left out, unless it refuses all.
    """
    dated = OBJECT_TYPES[export_type].dated
    if not dated.kinds:
        wanted = DefinitionList(kind=ListKind.PROPERTIES, path=dated.path)
        return reader.read(wanted, required=True) if dated.has_properties else Listed()
    found = {each.name: reader.read(DefinitionList(kind=ListKind.PROPERTIES, path=each.path)) for each in dated.kinds}
    if all(listed.refused is not None for listed in found.values()):
        return next(iter(found.values()))
    return Listed(properties=tuple(_joined(found)))


def read_sensitive(export_type: ExportType, reader: ListReader) -> tuple[PropertyDefinition, ...]:
    """Read a type's sensitive properties. HubSpot has none for activities; what it refuses counts as none."""
    dated = OBJECT_TYPES[export_type].dated
    if dated.kinds or not dated.has_properties:
        return ()
    lists = (
        DefinitionList(kind=ListKind.PROPERTIES, path=dated.path, sensitivity=level)
        for level in (Sensitivity.SENSITIVE, Sensitivity.HIGH)
    )
    return tuple(each for wanted in lists for each in reader.read(wanted).properties)


def read_pipelines(export_type: ExportType, reader: ListReader) -> Listed:
    """Read a type's pipelines. Of a type that is not known to have any a refusal says that it has none."""
    found = OBJECT_TYPES[export_type]
    if not found.dated.has_properties:
        return Listed()
    wanted = DefinitionList(kind=ListKind.PIPELINES, path=found.dated.path)
    listed = reader.read(wanted, required=found.has_pipelines)
    return listed if listed.status == _FORBIDDEN else replace(listed, refused=None)


def _joined(lists: Mapping[str, Listed]) -> Iterable[PropertyDefinition]:
    found: dict[str, PropertyDefinition] = {}
    for kind, listed in lists.items():
        for each in listed.properties:
            known = found.get(each.name, each)
            found[each.name] = replace(known, kinds=(*known.kinds, kind))
    return found.values()
