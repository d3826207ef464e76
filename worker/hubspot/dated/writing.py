"""Writing: what records in the documented shapes are written with, and their associations, which all have alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from worker.hubspot.dated.field_values import number
from worker.hubspot.dated.objects import DatedObject
from worker.records.object_type import DatedList


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What records are written with: the portal that they are of, and what of them was asked for.

    `names`, in small letters, are the properties that were asked for, None all that came; the values of those in
    `times` are instants or days. `associations` are types that were asked for by name. `merges`: it is wanted which
    other companies each was merged with.
    """

    dated: DatedList
    hub_id: int | None = None
    names: frozenset[str] | None = None
    times: frozenset[str] = field(default=frozenset())
    associations: tuple[str, ...] = ()
    merges: bool = False


def associations_of(item: DatedObject, writing: Writing) -> Any:  # noqa: ANN401 - whatever came
    """Write associations under their legacy names, and those that have none there under HubSpot's."""
    given = {} if item.associations is None else item.associations
    if not isinstance(given, dict):
        return given
    places = writing.dated.associations
    known = {legacy: _associated(given.get(name)) for name, legacy in places.items()}
    return {**known, **_without_a_place(given, writing)}


def _without_a_place(given: Mapping[str, Any], writing: Writing) -> dict[str, Any]:
    """Write what is associated under the names of types; one that was asked for and has none is an empty list.

    A type that was asked for by its number comes under its name. HubSpot calls line items `line items` here.
    """
    places = writing.dated.associations
    found = {_type_name(name): _associated(value) for name, value in given.items() if name not in places}
    asked = [name for name in writing.associations if name not in places and not name[:1].isdigit()]
    return {**{name: [] for name in asked}, **found}


def _type_name(name: str) -> str:
    return name.replace(" ", "_")


def _associated(given: Any) -> Any:  # noqa: ANN401 - whatever came
    """Return the ids of what is associated, each once, in their order; what holds none stands as it came."""
    listed = given.get("results") if isinstance(given, dict) else given
    if listed is None:
        return []
    if not isinstance(listed, list):
        return given
    others = [number(other.get("id", other) if isinstance(other, dict) else other) for other in listed]
    found = list({other if type(other) is int else msgspec.json.encode(other): other for other in others}.values())
    # A list and a call by ids need not have one order, and a record is not to differ by how it was read.
    return sorted(found) if all(type(other) is int for other in found) else found
