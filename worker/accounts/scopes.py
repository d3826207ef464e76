"""Scopes: which ones HubSpot requires for each type, and which a connection lacks; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TypeAlias

from worker.records.registry import OBJECT_TYPES
from worker.records.types import DOCUMENTED_TYPES, ExportType

MissingScopes: TypeAlias = Mapping[ExportType, tuple[str, ...]]
"""The types that HubSpot would refuse, each with the scopes of which any one would be enough."""

ENOUGH: Mapping[ExportType, tuple[str, ...]] = MappingProxyType(
    {each: OBJECT_TYPES[each].scopes for each in DOCUMENTED_TYPES}
)
"""For each type the scopes of which any one is enough."""


def missing_scopes(types: Collection[ExportType], granted: Collection[str]) -> MissingScopes:
    """Return those of the types for which none of the scopes was granted."""
    return {each: ENOUGH[each] for each in types if not set(ENOUGH[each]).intersection(granted)}
