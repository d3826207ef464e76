"""Engagements by kind, as the dated API lists them, with the ids and contents that the legacy feed has."""

from functools import partial

from sandbox.fake_hubspot.records import engagements, words
from sandbox.fake_hubspot.records.shape import RecordType

_CONTACTS_SCOPE = ("crm.objects.contacts.read",)
_VALUELESS = ("hs_queue_membership_ids", "hs_all_accessible_team_ids", "hs_engagement_source")
_VALUELESS_BY_KIND = {
    "CALL": (
        "hs_call_title",
        "hs_call_from_number",
        "hs_call_disposition",
        "hs_call_recording_url",
        "hs_call_direction",
    ),
    "EMAIL": ("hs_email_status", "hs_email_direction"),
    "MEETING": (
        *("hs_meeting_location", "hs_meeting_outcome", "hs_internal_meeting_notes"),
        "hs_meeting_external_url",
    ),
    "TASK": ("hs_task_priority", "hs_task_type", "hs_task_completion_date"),
}
"""What the legacy records of the stand-in do not have either."""


def _view(name: str, singular: str, number: str, *, needs: tuple[str, ...] = ()) -> RecordType:
    kind = singular.upper()
    return RecordType(
        name=name,
        properties=partial(engagements.dated_properties, kind=kind),
        links=engagements.links,
        scopes=_CONTACTS_SCOPE,
        singular=singular,
        dated_number=number,
        dated_defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
        created_property="hs_createdate",
        needs=needs,
        view_of="engagements",
        includes=partial(engagements.is_kind, kind),
        valueless=(*_VALUELESS, *_VALUELESS_BY_KIND.get(kind, ())),
    )


def _communication(variant: int) -> dict[str, str]:
    return {
        "hs_communication_body": words.html(variant, size=80 + variant * 5),
        "hs_communication_channel_type": words.pick(("WHATS_APP", "SMS", "LINKEDIN_MESSAGE"), variant, salt=71),
        "hs_communication_logged_from": "CRM",
        "hs_timestamp": "{{created}}",
        "hs_createdate": "{{created}}",
        "hs_lastmodifieddate": "{{modified}}",
        "hs_object_id": "{{id}}",
    }


NOTES = _view("notes", "note", "0-46")
CALLS = _view("calls", "call", "0-48")
EMAILS = _view("emails", "email", "0-49", needs=("sales-email-read",))
MEETINGS = _view("meetings", "meeting", "0-47")
TASKS = _view("tasks", "task", "0-27")
COMMUNICATIONS = RecordType(
    name="communications",
    properties=_communication,
    links=lambda _: ("contacts",),
    scopes=_CONTACTS_SCOPE,
    singular="communication",
    dated_number="0-18",
    dated_defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
    created_property="hs_createdate",
)
