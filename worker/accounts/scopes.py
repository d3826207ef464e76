"""Scopes: which ones a connection lacks for each type; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TypeAlias

from worker.records.registry import OBJECT_TYPES
from worker.records.scopes import scopes_needed
from worker.records.types import DOCUMENTED_TYPES, ExportType

MissingScopes: TypeAlias = Mapping[ExportType, tuple[str, ...]]
"""The types that HubSpot would refuse, each with the scopes of which any one would be enough."""

ENOUGH: Mapping[ExportType, tuple[str, ...]] = MappingProxyType(
    {each: OBJECT_TYPES[each].scopes for each in DOCUMENTED_TYPES}
)
"""For each documented type the scopes of which any one is enough."""


def missing_scopes(types: Collection[ExportType], granted: Collection[str]) -> MissingScopes:
    """Return those of the types for which a scope is missing; of several, the first."""
    missing = {each: _first_missing(each, granted) for each in types}
    return {each: scopes for each, scopes in missing.items() if scopes}


def _first_missing(export_type: ExportType, granted: Collection[str]) -> tuple[str, ...]:
    return next((group for group in scopes_needed(export_type) if not set(group).intersection(granted)), ())
