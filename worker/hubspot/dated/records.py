"""Objects of the dated API -> records in the documented legacy shapes; a value that is not what it should be stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.hubspot.dated.activities.shape import engagement_of
from worker.hubspot.dated.field_values import flag, milliseconds, number, said, split_values, text
from worker.hubspot.dated.objects import DatedObject
from worker.hubspot.dated.property_values import CONTACT_VALUES, SOURCED_VALUES, ValueShape, write_properties
from worker.hubspot.dated.writing import Writing, associations_of
from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.object_type import RecordShape

_RECORD = "/record/"
MERGED_IDS = "hs_merged_object_ids"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyNeeds:
    """What a legacy shape is written from, and what it lacks.

    `properties` are asked for besides those that the caller wants, `of_merges` where these are. `unasked` are the
    properties that the legacy list gives where none is asked for. `not_available` are the fields that the dated API has
    nowhere, `sourced` those that it has for properties whose history is asked for.
    """

    properties: tuple[str, ...] = ()
    of_merges: tuple[str, ...] = ()
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
        properties=("hs_additional_domains",),
        of_merges=(MERGED_IDS,),
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
        "properties": _properties(item, writing, CONTACT_VALUES),
        "form-submissions": [],
        "identity-profiles": [],
        "merge-audits": [],
        **_further_associations(item, writing),
    }


def _company(item: DatedObject, writing: Writing) -> dict[str, Any]:
    merged = split_values(_property(item, MERGED_IDS)) if writing.merges else []
    return {
        **said("portalId", writing.hub_id),
        **said("companyId", number(item.id)),
        "isDeleted": flag(item.archived),
        "properties": _properties(item, writing, SOURCED_VALUES),
        "additionalDomains": split_values(_property(item, "hs_additional_domains"), text),
        "stateChanges": [],
        "mergeAudits": [{"mergedCompanyId": each} for each in merged] if isinstance(merged, list) else merged,
        **_further_associations(item, writing),
    }


def _deal(item: DatedObject, writing: Writing) -> dict[str, Any]:
    return {
        **said("portalId", writing.hub_id),
        **said("dealId", number(item.id)),
        "isDeleted": flag(item.archived),
        "associations": associations_of(item, writing),
        "properties": _properties(item, writing, SOURCED_VALUES),
        "imports": [],
        "stateChanges": [],
    }


def _note(item: DatedObject, writing: Writing) -> dict[str, Any]:
    return engagement_of(item, ACTIVITY_KINDS[0], writing)


RECORD_WRITERS: Mapping[RecordShape, Callable[[DatedObject, Writing], dict[str, Any]]] = {
    RecordShape.CONTACT: _contact,
    RecordShape.COMPANY: _company,
    RecordShape.DEAL: _deal,
    RecordShape.ENGAGEMENT: _note,
}
"""By shapes other than HubSpot's own, in which objects stay as they are."""


def _further_associations(item: DatedObject, writing: Writing) -> dict[str, Any]:
    """Write associations into a shape that knows none, where they were asked for."""
    if not writing.associations:
        return {}
    return {"associations": associations_of(item, writing)}


def _properties(item: DatedObject, writing: Writing, shape: ValueShape) -> Any:  # noqa: ANN401 - whatever came
    if not isinstance(item.properties, dict | None):
        return item.properties
    history = item.properties_with_history
    return write_properties(
        item.properties or {},
        history if isinstance(history, dict) else {},
        names=writing.names,
        times=writing.times,
        shape=shape,
    )


def _property(item: DatedObject, name: str) -> Any:  # noqa: ANN401 - whatever came
    return item.properties.get(name) if isinstance(item.properties, dict) else None


def _profile_url(url: Any) -> Any:  # noqa: ANN401 - whatever came
    """Write the address of a contact as the legacy list has it: `.../record/0-1/501` is `.../contact/501` there."""
    if not isinstance(url, str) or _RECORD not in url:
        return url
    account, _, record = url.partition(_RECORD)
    return f"{account}/contact/{record.rpartition('/')[2]}"
