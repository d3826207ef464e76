"""Objects of the dated API -> records in the documented legacy shapes; a value that is not what it should be stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from worker.hubspot.dated_objects import DatedObject
from worker.hubspot.field_values import flag, milliseconds, number, said, split_values, text
from worker.hubspot.property_values import WriteValue, plain_value, sourced_value, write_properties
from worker.records.object_type import DatedList, RecordShape

_RECORD = "/record/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What records are written with: the portal that they are of, and what of them was asked for.

    `names`, in small letters, are the properties that were asked for, None all that came; the values of those in
    `times` are instants or days. `associations` are types that were asked for by name.
    """

    dated: DatedList
    hub_id: int | None = None
    names: frozenset[str] | None = None
    times: frozenset[str] = field(default=frozenset())
    associations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyNeeds:
    """What a legacy shape is written from, and what it lacks.

    `properties` are asked for besides those that the caller wants. `unasked` are the properties that the legacy list
    gives where none is asked for. `not_available` are the fields that the dated API has nowhere, `sourced` those that
    it has for properties whose history is asked for.
    """

    properties: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    not_available: tuple[str, ...] = ()
    sourced: tuple[str, ...] = ()


_SOURCED = tuple(f"properties.*.{name}" for name in ("timestamp", "source", "sourceId", "versions"))

LEGACY_NEEDS: Mapping[RecordShape, LegacyNeeds] = {
    RecordShape.CONTACT: LegacyNeeds(
        properties=("hs_all_contact_vids",),
        unasked=("firstname", "lastname", "company", "lastmodifieddate"),
        not_available=("form-submissions", "identity-profiles", "merge-audits", "profile-token"),
    ),
    RecordShape.COMPANY: LegacyNeeds(
        properties=("hs_additional_domains", "hs_merged_object_ids"),
        not_available=("stateChanges",),
        sourced=_SOURCED,
    ),
    RecordShape.DEAL: LegacyNeeds(not_available=("imports", "stateChanges"), sourced=_SOURCED),
    RecordShape.ENGAGEMENT: LegacyNeeds(),
    RecordShape.OBJECT: LegacyNeeds(),
}


def _contact(item: DatedObject, writing: Writing) -> dict[str, Any]:
    record_id = number(item.id)
    vids = split_values(_property(item, "hs_all_contact_vids"))
    merged = [each for each in vids if each != record_id] if isinstance(vids, list) else vids
    return {
        **said("addedAt", milliseconds(item.created_at)),
        **said("vid", record_id),
        **said("canonical-vid", record_id),
        "merged-vids": merged,
        **said("portal-id", writing.hub_id),
        "is-contact": True,
        **said("profile-url", _profile_url(item.url)),
        **({"isDeleted": True} if flag(item.archived) is True else {}),
        "properties": _properties(item, writing, plain_value),
        "form-submissions": [],
        "identity-profiles": [],
        "merge-audits": [],
        **_further_associations(item, writing),
    }


def _company(item: DatedObject, writing: Writing) -> dict[str, Any]:
    domains = split_values(_property(item, "hs_additional_domains"), text)
    merged = split_values(_property(item, "hs_merged_object_ids"))
    return {
        **said("portalId", writing.hub_id),
        **said("companyId", number(item.id)),
        "isDeleted": flag(item.archived),
        "properties": _properties(item, writing, sourced_value),
        "additionalDomains": _each_as("domain", domains),
        "stateChanges": [],
        "mergeAudits": _each_as("mergedCompanyId", merged),
        **_further_associations(item, writing),
    }


def _deal(item: DatedObject, writing: Writing) -> dict[str, Any]:
    return {
        **said("portalId", writing.hub_id),
        **said("dealId", number(item.id)),
        "isDeleted": flag(item.archived),
        "associations": associations_of(item, writing),
        "properties": _properties(item, writing, sourced_value),
        "imports": [],
        "stateChanges": [],
    }


RECORD_WRITERS: Mapping[RecordShape, Callable[[DatedObject, Writing], dict[str, Any]]] = {
    RecordShape.CONTACT: _contact,
    RecordShape.COMPANY: _company,
    RecordShape.DEAL: _deal,
}
"""By shapes other than HubSpot's own, in which objects stay as they are."""


def associations_of(item: DatedObject, writing: Writing) -> Any:  # noqa: ANN401 - whatever came
    """Write associations under their legacy names, and those that have none there under HubSpot's."""
    given = {} if item.associations is None else item.associations
    if not isinstance(given, dict):
        return given
    places = writing.dated.associations
    known = {legacy: _associated(given.get(name)) for name, legacy in places.items()}
    return {**known, **_without_a_place(given, writing)}


def _further_associations(item: DatedObject, writing: Writing) -> dict[str, Any]:
    """Write associations into a shape that knows none, where they were asked for."""
    if not writing.associations:
        return {}
    return {"associations": associations_of(item, writing)}


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
    """Return the ids of what is associated, each once; what holds none stands as it came."""
    listed = given.get("results") if isinstance(given, dict) else given
    if listed is None:
        return []
    if not isinstance(listed, list):
        return given
    others = [number(other.get("id", other) if isinstance(other, dict) else other) for other in listed]
    return list({other if type(other) is int else msgspec.json.encode(other): other for other in others}.values())


def _properties(item: DatedObject, writing: Writing, write: WriteValue) -> Any:  # noqa: ANN401 - whatever came
    if not isinstance(item.properties, dict | None):
        return item.properties
    history = item.properties_with_history
    return write_properties(
        item.properties or {},
        history if isinstance(history, dict) else {},
        names=writing.names,
        times=writing.times,
        write=write,
    )


def _property(item: DatedObject, name: str) -> Any:  # noqa: ANN401 - whatever came
    return item.properties.get(name) if isinstance(item.properties, dict) else None


def _each_as(name: str, values: Any) -> Any:  # noqa: ANN401 - whatever came
    return [{name: each} for each in values] if isinstance(values, list) else values


def _profile_url(url: Any) -> Any:  # noqa: ANN401 - whatever came
    """Write the address of a contact as the legacy list has it: `.../record/0-1/501` is `.../contact/501` there."""
    if not isinstance(url, str) or _RECORD not in url:
        return url
    account, _, record = url.partition(_RECORD)
    return f"{account}/contact/{record.rpartition('/')[2]}"
