"""What each kind of engagement has in `metadata`, as the legacy feed has it, from the properties of the dated API.

By recorded bodies of the legacy feed: what has no value is absent, but for the lists of e-mails and the reminders of
tasks, which are empty then, and the sender of an e-mail, who is an empty object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from worker.hubspot.dated.field_values import EMPTY, milliseconds, number, said, split_values, text

Properties = Mapping[str, Any]


def metadata_of(kind: str, properties: Properties) -> dict[str, Any]:
    """Return what an engagement of this kind has in `metadata`."""
    return _BY_KIND[kind](properties)


def _note(properties: Properties) -> dict[str, Any]:
    return said("body", text(properties.get("hs_note_body")))


def _call(properties: Properties) -> dict[str, Any]:
    return {
        **_texts(
            properties,
            toNumber="hs_call_to_number",
            fromNumber="hs_call_from_number",
            status="hs_call_status",
        ),
        **said("durationMilliseconds", _value(properties.get("hs_call_duration"), number)),
        **_texts(
            properties,
            recordingUrl="hs_call_recording_url",
            body="hs_call_body",
            title="hs_call_title",
            disposition="hs_call_disposition",
        ),
    }


def _email(properties: Properties) -> dict[str, Any]:
    return {
        **_people(properties.get("hs_email_headers")),
        **_texts(
            properties,
            subject="hs_email_subject",
            html="hs_email_html",
            text="hs_email_text",
            status="hs_email_status",
        ),
    }


def _people(headers: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever came
    """Return who an e-mail is from and to; headers that are none stand as they came where the sender would."""
    given = _decoded(headers)
    if not isinstance(given, dict):
        return {"from": given, "to": [], "cc": [], "bcc": []}
    lists = {name: [] if given.get(name) is None else given[name] for name in ("to", "cc", "bcc")}
    sender = {} if given.get("from") is None else given["from"]
    return {"from": sender, **lists, **said("sender", given.get("sender"))}


def _decoded(headers: Any) -> Any:  # noqa: ANN401 - whatever came
    if headers in EMPTY:
        return {}
    if not isinstance(headers, str):
        return headers
    try:
        given = msgspec.json.decode(headers)
    except (msgspec.DecodeError, RecursionError):
        return headers
    return given if isinstance(given, dict) else headers


def _meeting(properties: Properties) -> dict[str, Any]:
    return {
        **_texts(properties, body="hs_meeting_body"),
        **said("startTime", _value(properties.get("hs_meeting_start_time"), milliseconds)),
        **said("endTime", _value(properties.get("hs_meeting_end_time"), milliseconds)),
        **_texts(
            properties,
            title="hs_meeting_title",
            location="hs_meeting_location",
            meetingOutcome="hs_meeting_outcome",
            internalMeetingNotes="hs_internal_meeting_notes",
            externalUrl="hs_meeting_external_url",
        ),
    }


def _task(properties: Properties) -> dict[str, Any]:
    return {
        **_texts(
            properties,
            body="hs_task_body",
            subject="hs_task_subject",
            status="hs_task_status",
            priority="hs_task_priority",
            taskType="hs_task_type",
            forObjectType="hs_task_for_object_type",
        ),
        "reminders": reminders_of(properties),
        **said("completionDate", _value(properties.get("hs_task_completion_date"), milliseconds)),
    }


def reminders_of(properties: Properties) -> Any:  # noqa: ANN401 - whatever came
    """Return the instants of a task's reminders, in milliseconds since 1970."""
    return split_values(properties.get("hs_task_reminders"), milliseconds)


_BY_KIND: Mapping[str, Callable[[Properties], dict[str, Any]]] = {
    "NOTE": _note,
    "CALL": _call,
    "EMAIL": _email,
    "MEETING": _meeting,
    "TASK": _task,
}


def _texts(properties: Properties, **names: str) -> dict[str, Any]:
    """Return texts under their legacy names."""
    return {legacy: value for legacy, name in names.items() if (value := text(properties.get(name))) is not None}


def _value(value: Any, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - whatever came
    return None if value in EMPTY else read(value)
