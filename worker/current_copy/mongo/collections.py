"""Where the records of a type are stored: in a collection of its name, and those of all custom objects in one."""

from __future__ import annotations

from typing import TypeAlias

from pymongo import ASCENDING

from worker.mongo.database import Document, MongoDatabase
from worker.records.registry import CUSTOM_OBJECTS, OBJECT_TYPES, is_custom_name
from worker.records.types import ExportType

Index: TypeAlias = list[tuple[str, int]]

_PREFIX = "integrations.hubspot."
_OF_PORTAL = ("hub_id",)
_BY_CHANGE = ("deleted", "changed_at", "record_id")


def collection_of(export_type: ExportType) -> str:
    return f"{_PREFIX}{CUSTOM_OBJECTS if is_custom_name(export_type) else export_type}"


def type_in(export_type: ExportType) -> Document:
    """Return the fields that tell records of this type from the others of their collection."""
    return {"type": export_type} if is_custom_name(export_type) else {}


def by_change(export_type: ExportType, *, of_portal: bool) -> Index:
    """Return the index by which a copy is read in the order of change; not `of_portal`: whatever portal it is of."""
    return _by_change(has_types=is_custom_name(export_type), of_portal=of_portal)


def create_indexes(database: MongoDatabase) -> None:
    """Create the indexes of all collections, and so the collections: 10 ms where they are there, 0.1 s at first."""
    for name, has_types in (*((each, False) for each in OBJECT_TYPES), (CUSTOM_OBJECTS, True)):
        for of_portal in (False, True):
            database[_PREFIX + name].create_index(_by_change(has_types=has_types, of_portal=of_portal))


def _by_change(*, has_types: bool, of_portal: bool) -> Index:
    names = ("account_id", *(("type",) if has_types else ()), *(_OF_PORTAL if of_portal else ()), *_BY_CHANGE)
    return [(name, ASCENDING) for name in names]
