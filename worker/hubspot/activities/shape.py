"""Engagements of the dated API in the shape of the legacy feed.

By recorded bodies of that feed: times in milliseconds, ids as integers, all lists of associations whether or not there
are any, `scheduledTasks` of tasks. What the dated API does not tell is left out, and named in NOT_AVAILABLE.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from worker.hubspot.activities.metadata import metadata_of, reminders_of
from worker.hubspot.dated_records import DatedObject
from worker.hubspot.field_values import EMPTY, flag, milliseconds, number, said, split_values, text
from worker.records.object_type import ActivityKind
from worker.records.registry import OBJECT_TYPES
from worker.records.types import NOTES

OTHER_TYPES = "engagements of other types"
"""PUBLISHING_TASK and whatever else only the legacy feed has."""

NOT_AVAILABLE = (
    OTHER_TYPES,
    "associations.contentIds",
    "associations.ownerIds",
    "associations.quoteIds",
    "associations.workflowIds",
    "engagement.uid",
    "metadata.emailSendEventId",
    "metadata.preMeetingProspectReminders",
    "metadata.validationSkipped",
    "scheduledTasks.uuid",
)
"""What the legacy feed has and the dated API has not."""

_LINKS: Mapping[str, str] = {legacy: name for name, legacy in OBJECT_TYPES[NOTES].dated.associations.items()}
_LISTS = ("contactIds", "companyIds", "dealIds", "ownerIds", "workflowIds", "ticketIds", "contentIds", "quoteIds")


def engagement_of(
    item: DatedObject,
    kind: ActivityKind,
    *,
    hub_id: int | None,
    requested: Collection[str] = (),
    associations: Collection[str] = (),
) -> dict[str, Any]:
    """Write an engagement as the legacy feed does.

    What a caller has asked for beyond the documented shape has a place of its own: `requested` properties under
    `properties`, `associations` under their dated names.
    """
    properties = item.properties if isinstance(item.properties, dict) else {}
    return {
        "engagement": _engagement(item, properties, kind, hub_id),
        "associations": _associations(item, associations),
        "attachments": _attachments(properties.get("hs_attachment_ids")),
        **({"scheduledTasks": _reminders(item, properties, hub_id)} if kind.name == "TASK" else {}),
        "metadata": metadata_of(kind.name, properties),
        **_asked_for(item, requested),
    }


def _engagement(
    item: DatedObject, properties: Mapping[str, Any], kind: ActivityKind, hub_id: int | None
) -> dict[str, Any]:
    def value(name: str) -> Any:  # noqa: ANN401 - whatever came
        return None if properties.get(name) in EMPTY else properties[name]

    stamp, is_truncated = value("hs_timestamp"), value("hs_body_preview_is_truncated")
    return {
        **said("id", number(item.id)),
        **said("portalId", hub_id),
        "active": flag(item.archived) is not True,
        **said("createdAt", milliseconds(item.created_at)),
        **said("lastUpdated", milliseconds(item.updated_at)),
        **said("createdBy", number(value("hs_created_by_user_id"))),
        **said("modifiedBy", number(value("hs_updated_by_user_id"))),
        **said("ownerId", number(value("hubspot_owner_id"))),
        "type": _type(kind, value("hs_email_direction")),
        **said("timestamp", milliseconds(item.created_at if stamp is None else stamp)),
        "allAccessibleTeamIds": split_values(value("hs_all_accessible_team_ids")),
        **said("bodyPreview", text(properties.get("hs_body_preview"))),
        "queueMembershipIds": split_values(value("hs_queue_membership_ids")),
        **said("bodyPreviewIsTruncated", None if is_truncated is None else flag(is_truncated)),
        **said("bodyPreviewHtml", text(properties.get("hs_body_preview_html"))),
    }


def _type(kind: ActivityKind, direction: Any) -> str:  # noqa: ANN401 - whatever came
    """Return the type in the legacy feed, which has one for e-mails of each direction."""
    return direction if direction in kind.further_names else kind.name


def _associations(item: DatedObject, further: Collection[str]) -> Any:  # noqa: ANN401 - whatever came
    given = {} if item.associations is None else item.associations
    if not isinstance(given, dict):
        return given
    return {
        **{each: _ids(given.get(_LINKS[each])) if each in _LINKS else [] for each in _LISTS},
        **{name: _ids(given.get(name)) for name in further if name not in _LINKS.values()},
    }


def _ids(given: Any) -> Any:  # noqa: ANN401 - whatever came
    """Return the ids of what is associated, each once; what holds none stands as it came."""
    listed = given.get("results") if isinstance(given, dict) else given
    if listed is None:
        return []
    if not isinstance(listed, list):
        return given
    others = [number(other.get("id", other) if isinstance(other, dict) else other) for other in listed]
    return list({other if type(other) is int else msgspec.json.encode(other): other for other in others}.values())


def _attachments(given: Any) -> Any:  # noqa: ANN401 - whatever came
    ids = split_values(given)
    return [{"id": each} for each in ids] if isinstance(ids, list) else ids


def _reminders(item: DatedObject, properties: Mapping[str, Any], hub_id: int | None) -> list[dict[str, Any]]:
    instants = reminders_of(properties)
    return [
        {
            **said("engagementId", number(item.id)),
            **said("portalId", hub_id),
            "engagementType": "TASK",
            "taskType": "REMINDER",
            "timestamp": each,
        }
        for each in (instants if isinstance(instants, list) else [])
    ]


def _asked_for(item: DatedObject, requested: Collection[str]) -> dict[str, Any]:
    if not isinstance(item.properties, dict):
        return {} if item.properties is None else {"properties": item.properties}
    if not requested:
        return {}
    given = {name: item.properties.get(name) for name in requested}
    return {"properties": {name: {"value": text(value)} for name, value in given.items() if value is not None}}
