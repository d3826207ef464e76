"""The scopes that types of objects need, and which of them a connection lacks; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.registry import CUSTOM_OBJECTS, OBJECT_TYPES
from worker.records.types import ExportType

MissingScopes: TypeAlias = Mapping[ExportType, tuple[str, ...]]
"""The types that HubSpot would refuse, each with the scopes of which any one would be enough."""

_NEED_ALL = frozenset(each.path for each in ACTIVITY_KINDS if len(each.scopes) > 1)
_ANY_CUSTOM_OBJECT = "p0_any"
_TO_LIST_THEM = "crm.schemas.custom.read"  # without it custom objects can be read by their full names alone


def scopes_needed(export_type: ExportType) -> tuple[tuple[str, ...], ...]:
    """Return groups of scopes: of each group any one is enough, and a type has all that it needs with one of each.

    HubSpot documents alternatives for most lists; of e-mails it wants a scope beside that of contacts. All custom
    objects need the same.
    """
    scopes = OBJECT_TYPES[export_type if export_type != CUSTOM_OBJECTS else _ANY_CUSTOM_OBJECT].scopes
    return tuple((each,) for each in scopes) if export_type in _NEED_ALL else (scopes,)


def scopes_to_request(types: Collection[ExportType]) -> tuple[str, ...]:
    """Return the fewest scopes with which all these types can be read, and custom objects be found."""
    needed = list(dict.fromkeys(group[0] for each in types for group in scopes_needed(each)))
    return (*needed, _TO_LIST_THEM) if CUSTOM_OBJECTS in types else tuple(needed)


def missing_scopes(types: Collection[ExportType], granted: Collection[str]) -> MissingScopes:
    """Return those of the types for which a scope is missing; of several, the first."""
    missing = {each: _first_missing(each, granted) for each in types}
    return {each: scopes for each, scopes in missing.items() if scopes}


def _first_missing(export_type: ExportType, granted: Collection[str]) -> tuple[str, ...]:
    return next((group for group in scopes_needed(export_type) if not set(group).intersection(granted)), ())
