"""Engagements: the JSON of the engagements API, version 1, and the properties of notes in the dated API."""

from functools import cache

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.shape import RecordType, Shape, links_to

_KINDS = (
    *("NOTE", "EMAIL", "NOTE", "CALL", "NOTE", "TASK", "NOTE", "MEETING"),
    *("NOTE", "EMAIL", "NOTE", "CALL", "EMAIL", "TASK", "NOTE", "PUBLISHING_TASK"),
)
_LARGE_BODIES = {2: 12_000, 17: 24_000, 41: 50_000}
_PREVIEW_LENGTH = 60


def is_note(variant: int) -> bool:
    """Return whether engagements of this variant are notes, the only kind in the dated notes list."""
    return _kind(variant) == "NOTE"


def _kind(variant: int) -> str:
    return _KINDS[variant % len(_KINDS)]


@cache
def _body(variant: int) -> str:
    return words.html(variant, size=_LARGE_BODIES.get(variant, 80 + variant * 5))


def _preview(variant: int) -> str:
    return words.pick(words.SENTENCES, variant, salt=0)[:_PREVIEW_LENGTH]


def _links(variant: int) -> tuple[str, ...]:
    return ("contacts", *(("companies",) if variant % 2 else ()), *(("deals",) if variant % 5 == 0 else ()))


def _legacy(variant: int, shape: Shape) -> dict[str, object]:
    links = _links(variant)
    tasks = {"scheduledTasks": [_scheduled_task()]} if _kind(variant) == "TASK" else {}
    return {
        "engagement": _engagement(variant),
        "associations": {
            "contactIds": links_to(links, shape, "contacts"),
            "companyIds": links_to(links, shape, "companies"),
            "dealIds": links_to(links, shape, "deals"),
            **{name: [] for name in ("ownerIds", "workflowIds", "ticketIds", "contentIds", "quoteIds")},
        },
        "attachments": [{"id": 900_000 + variant}] if variant % 16 == 1 else [],
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


def _scheduled_task() -> dict[str, object]:
    ids = {"engagementId": "{{#id}}", "portalId": "{{#hub}}", "engagementType": "TASK"}
    return {**ids, "taskType": "REMINDER", "timestamp": "{{#modified}}", "uuid": "TASK:{{id}}"}


def _metadata(variant: int, shape: Shape) -> dict[str, object]:
    body = _body(variant)
    person = {"email": "a{{id}}@example.test", "firstName": "Zoë", "lastName": "O'Brien"}
    by_kind: dict[str, dict[str, object]] = {
        "NOTE": {"body": body},
        "EMAIL": {
            "from": person,
            "to": [person],
            "cc": [],
            "bcc": [],
            "subject": "Re: größer & 更好",
            **_email_text(variant, shape),
        },
        "CALL": {"toNumber": "+353 1 000 0000", "status": "COMPLETED", "durationMilliseconds": 38_000, "body": body},
        "TASK": {"body": body, "subject": "Follow up ✅", "status": "NOT_STARTED", "forObjectType": "CONTACT"},
        "MEETING": {"body": body, "startTime": "{{#created}}", "endTime": "{{#modified}}", "title": "会議"},
        # Undocumented, yet found in real portals; its free-form keys are hostile to document stores.
        "PUBLISHING_TASK": {"name": "Publish", "state": "TODO", "custom.field": {"$price": "1.50"}, "body": body},
    }
    return by_kind[_kind(variant)]


def _email_text(variant: int, shape: Shape) -> dict[str, object]:
    return {"html": _body(variant), "text": _preview(variant)} if shape.email_bodies else {}


def _note_properties(variant: int) -> dict[str, str]:
    owner = {"hubspot_owner_id": str(1000 + variant)} if variant % 5 else {}
    return {
        "hs_createdate": "{{created}}",
        "hs_lastmodifieddate": "{{modified}}",
        "hs_object_id": "{{id}}",
        "hs_note_body": _body(variant),
        "hs_timestamp": "{{created}}",
        "hs_body_preview": _preview(variant),
        **owner,
    }


ENGAGEMENTS = RecordType(
    name="engagements",
    properties=_note_properties,
    legacy=_legacy,
    links=_links,
    dated_singular="note",
    dated_number="0-46",
    dated_defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
    created_property="hs_createdate",
)
