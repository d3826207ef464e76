"""Layout: how the records of a type lie, as far as a table has to know: in a legacy shape, or in HubSpot's own."""

from __future__ import annotations

from enum import Enum, auto

from worker.records.object_type import RecordShape
from worker.records.registry import OBJECT_TYPES

PROPERTIES = "properties"
ASSOCIATIONS = "associations"
HISTORY = "propertiesWithHistory"
"""All values that properties have had. As the `versions` of the legacy shapes they are no part of a table."""


class Layout(Enum):
    """A legacy property is an object around its value, and what is associated is a list of ids.

    In HubSpot's own shape a property is its value, and what is associated lies by type, in pages of objects with an id;
    all instants are written in ISO 8601.
    """

    LEGACY = auto()
    OWN = auto()


def layout_of(export_type: str) -> Layout:
    is_own = OBJECT_TYPES[export_type].dated.shape is RecordShape.OBJECT
    return Layout.OWN if is_own else Layout.LEGACY


def link_path(name: str) -> str:
    """Return the dotted path of what is associated under a name."""
    return f"{ASSOCIATIONS}.{name}"
