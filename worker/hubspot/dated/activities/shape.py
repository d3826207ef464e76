"""Engagements of the dated API in the shape of the legacy feed.

By recorded bodies of that feed: times in milliseconds, ids as integers, all lists of associations whether or not there
are any, `scheduledTasks` of tasks. What the dated API does not tell is left out, and named in NOT_AVAILABLE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.hubspot.dated.activities.metadata import metadata_of, reminders_of
from worker.hubspot.dated.field_values import EMPTY, flag, milliseconds, number, said, split_values, text
from worker.hubspot.dated.objects import DatedObject
from worker.hubspot.dated.property_values import CONTACT_VALUES, write_properties
from worker.hubspot.dated.writing import Writing, associations_of
from worker.records.findings import OTHER_ENGAGEMENTS
from worker.records.object_type import ActivityKind

NOT_AVAILABLE = (
    OTHER_ENGAGEMENTS,
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

_LISTS = ("contactIds", "companyIds", "dealIds", "ownerIds", "workflowIds", "ticketIds", "contentIds", "quoteIds")


def engagement_of(item: DatedObject, kind: ActivityKind, writing: Writing) -> dict[str, Any]:
    """Write an engagement as the legacy feed does.

    That has no place for the properties that a caller asks for: they are in `properties`, as contacts have them.
    """
    properties = item.properties if isinstance(item.properties, dict) else {}
    return {
        "engagement": _engagement(item, properties, kind, writing.hub_id),
        "associations": _associations(associations_of(item, writing)),
        "attachments": _attachments(properties.get("hs_attachment_ids")),
        **({"scheduledTasks": _reminders(item, properties, writing.hub_id)} if kind.name == "TASK" else {}),
        "metadata": metadata_of(kind.name, properties),
        **_asked_for(item, writing),
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


def _associations(found: Any) -> Any:  # noqa: ANN401 - whatever came
    return {**{name: [] for name in _LISTS}, **found} if isinstance(found, dict) else found


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


def _asked_for(item: DatedObject, writing: Writing) -> dict[str, Any]:
    if not isinstance(item.properties, dict):
        return {} if item.properties is None else {"properties": item.properties}
    if writing.names is None:
        return {}
    history = item.properties_with_history
    properties = write_properties(
        item.properties,
        history if isinstance(history, dict) else {},
        names=writing.names,
        times=writing.times,
        shape=CONTACT_VALUES,
    )
    return {"properties": properties}
