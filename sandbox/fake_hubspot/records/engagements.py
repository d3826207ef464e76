"""Engagements: the JSON of the engagements API, version 1, and the same contents as properties of the dated API."""

import json
from functools import cache

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.shape import Properties, RecordType, Shape, links_to

_KINDS = (
    *("NOTE", "EMAIL", "NOTE", "CALL", "NOTE", "TASK", "NOTE", "MEETING"),
    *("NOTE", "EMAIL", "NOTE", "CALL", "EMAIL", "TASK", "NOTE", "PUBLISHING_TASK"),
)
_LARGE_BODIES = {2: 12_000, 17: 24_000, 41: 50_000}
_PREVIEW_LENGTH = 60
_PERSON = {"email": "a{{id}}@example.test", "firstName": "Zoë", "lastName": "O'Brien"}
_EMAIL_SUBJECT = "Re: größer & 更好"
_CALLED = "+353 1 000 0000"
_CALL_MS = 38_000
_TASK_SUBJECT = "Follow up ✅"
_MEETING_TITLE = "会議"


def is_kind(kind: str, variant: int) -> bool:
    """Return whether engagements of this variant are of a kind, such as `NOTE`."""
    return _kind(variant) == kind


def _kind(variant: int) -> str:
    return _KINDS[variant % len(_KINDS)]


@cache
def _body(variant: int) -> str:
    return words.html(variant, size=_LARGE_BODIES.get(variant, 80 + variant * 5))


def _preview(variant: int) -> str:
    return words.pick(words.SENTENCES, variant, salt=0)[:_PREVIEW_LENGTH]


def links(variant: int) -> tuple[str, ...]:
    """Return the types of which an engagement of this variant is associated with one record."""
    return (
        "contacts",
        *(("companies",) if variant % 2 else ()),
        *(("deals",) if variant % 5 == 0 else ()),
        *(("tickets",) if variant % 7 == 0 else ()),
    )


def _legacy(variant: int, shape: Shape, _: Properties) -> dict[str, object]:
    linked = links(variant)
    tasks = {"scheduledTasks": [_scheduled_task()]} if _kind(variant) == "TASK" else {}
    return {
        "engagement": _engagement(variant),
        "associations": {
            "contactIds": links_to(linked, shape, "contacts"),
            "companyIds": links_to(linked, shape, "companies"),
            "dealIds": links_to(linked, shape, "deals"),
            "ownerIds": [],
            "workflowIds": [],
            "ticketIds": links_to(linked, shape, "tickets"),
            "contentIds": [],
            "quoteIds": links_to(linked, shape, "quotes"),
        },
        "attachments": _attachments(variant),
        **tasks,
        "metadata": _metadata(variant, shape),
    }


def _engagement(variant: int) -> dict[str, object]:
    created_by = {"createdBy": 7, "modifiedBy": 7} if variant % 6 else {}
    owner = {"ownerId": 1000 + variant} if variant % 5 else {}
    return {
        "id": "{{#id}}",
        "portalId": "{{#hub}}",
        "active": True,
        "createdAt": "{{#created}}",
        "lastUpdated": "{{#modified}}",
        **created_by,
        **owner,
        "type": _kind(variant),
        "timestamp": "{{#created}}",
        "allAccessibleTeamIds": [],
        "bodyPreview": _preview(variant),
        "queueMembershipIds": [],
        "bodyPreviewIsTruncated": variant in _LARGE_BODIES,
        "bodyPreviewHtml": f"<html><head></head><body>{_preview(variant)}</body></html>",
    }


def _attachments(variant: int) -> list[dict[str, int]]:
    return [{"id": 900_000 + variant}] if variant % 16 == 1 else []


def _scheduled_task() -> dict[str, object]:
    ids = {"engagementId": "{{#id}}", "portalId": "{{#hub}}", "engagementType": "TASK"}
    return {**ids, "taskType": "REMINDER", "timestamp": "{{#modified}}", "uuid": "TASK:{{id}}"}


def _metadata(variant: int, shape: Shape) -> dict[str, object]:
    body = _body(variant)
    by_kind: dict[str, dict[str, object]] = {
        "NOTE": {"body": body},
        "EMAIL": {
            "from": _PERSON,
            "to": [_PERSON],
            "cc": [],
            "bcc": [],
            "subject": _EMAIL_SUBJECT,
            **_email_text(variant, shape),
        },
        "CALL": {"toNumber": _CALLED, "status": "COMPLETED", "durationMilliseconds": _CALL_MS, "body": body},
        "TASK": {"body": body, "subject": _TASK_SUBJECT, "status": "NOT_STARTED", "forObjectType": "CONTACT"},
        "MEETING": {"body": body, "startTime": "{{#created}}", "endTime": "{{#modified}}", "title": _MEETING_TITLE},
        # Undocumented, yet found in real portals; its free-form keys are hostile to document stores.
        "PUBLISHING_TASK": {"name": "Publish", "state": "TODO", "custom.field": {"$price": "1.50"}, "body": body},
    }
    return by_kind[_kind(variant)]


def _email_text(variant: int, shape: Shape) -> dict[str, object]:
    return {"html": _body(variant), "text": _preview(variant)} if shape.email_bodies else {}


def dated_properties(variant: int, kind: str) -> dict[str, str]:
    """Return the properties of an engagement of this kind in the dated API; only what the legacy record has too."""
    return {**_common_properties(variant), **_properties_of_kind(variant, kind)}


def _common_properties(variant: int) -> dict[str, str]:
    engagement, attachments = _engagement(variant), _attachments(variant)
    names = {"ownerId": "hubspot_owner_id", "createdBy": "hs_created_by_user_id", "modifiedBy": "hs_updated_by_user_id"}
    return {
        "hs_createdate": "{{created}}",
        "hs_lastmodifieddate": "{{modified}}",
        "hs_object_id": "{{id}}",
        "hs_timestamp": "{{created}}",
        "hs_body_preview": _preview(variant),
        "hs_body_preview_html": str(engagement["bodyPreviewHtml"]),
        "hs_body_preview_is_truncated": "true" if engagement["bodyPreviewIsTruncated"] else "false",
        **({"hs_attachment_ids": ";".join(str(each["id"]) for each in attachments)} if attachments else {}),
        **{name: str(engagement[key]) for key, name in names.items() if key in engagement},
    }


def _properties_of_kind(variant: int, kind: str) -> dict[str, str]:
    body = _body(variant)
    by_kind: dict[str, dict[str, str]] = {
        "NOTE": {"hs_note_body": body},
        "EMAIL": {
            "hs_email_subject": _EMAIL_SUBJECT,
            "hs_email_html": body,
            "hs_email_text": _preview(variant),
            "hs_email_headers": json.dumps({"from": _PERSON, "to": [_PERSON], "cc": [], "bcc": []}, ensure_ascii=False),
        },
        "CALL": {
            "hs_call_body": body,
            "hs_call_to_number": _CALLED,
            "hs_call_status": "COMPLETED",
            "hs_call_duration": str(_CALL_MS),
        },
        "TASK": {
            "hs_task_body": body,
            "hs_task_subject": _TASK_SUBJECT,
            "hs_task_status": "NOT_STARTED",
            "hs_task_for_object_type": "CONTACT",
            "hs_task_reminders": "{{modified_ms}}",
        },
        "MEETING": {
            "hs_meeting_body": body,
            "hs_meeting_title": _MEETING_TITLE,
            "hs_meeting_start_time": "{{created}}",
            "hs_meeting_end_time": "{{modified}}",
        },
    }
    return by_kind[kind]


ENGAGEMENTS = RecordType(
    name="engagements",
    properties=lambda _: {},
    legacy=_legacy,
    links=links,
    scopes=("crm.objects.contacts.read",),
    singular="engagement",
    dated_number="",
    dated_defaults=(),
)
