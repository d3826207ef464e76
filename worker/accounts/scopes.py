"""Scopes: which of them HubSpot asks for, type by type, and which of those a connection lacks; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TypeAlias

from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

MissingScopes: TypeAlias = Mapping[ExportType, tuple[str, ...]]
"""The types that HubSpot would refuse, each with the scopes of which any one would do."""

ENOUGH: Mapping[ExportType, tuple[str, ...]] = MappingProxyType(
    {each: OBJECT_TYPES[each].scopes for each in ExportType}
)
"""Any one of these is enough for the type."""


def missing_scopes(types: Collection[ExportType], granted: Collection[str]) -> MissingScopes:
    """Name those of the types for which nothing that is enough was granted."""
    return {each: ENOUGH[each] for each in types if not set(ENOUGH[each]).intersection(granted)}
