"""Answers that hold HubSpot's own bytes, which are not decoded: the envelope is written around them."""

from __future__ import annotations

import json

from fastapi import Response

from worker.pages.interfaces import RecordSlice
from worker.records.object_type import PageFormat
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType, Offset

_HEAD = b'{"success":true,"message":"DATA Recieved","data":'


def page_answer(data: bytes, *, has_more: bool, offset: Offset | None, applied: str = "") -> Response:
    """Answer with a page; `data` is a JSON object, sent as it is."""
    pagination = {"hasMore": True if has_more else None, "offset": offset}
    tail = b',"pagination":' + json.dumps(pagination, separators=(",", ":")).encode() + b"}"
    headers = {"Preference-Applied": applied} if applied else None
    return Response(_HEAD + data + tail, media_type="application/json", headers=headers)


def results_answer(export_type: ExportType, found: RecordSlice, *, has_more: bool) -> Response:
    """Answer with records of a job, under the keys that HubSpot uses for the type; the offset is a place in the job."""
    keys = OBJECT_TYPES[export_type].page
    data = b'{"%s":[%s]%s}' % (keys.list_key.encode(), b",".join(found.records), _ending(keys, found.end, has_more))
    return page_answer(data, has_more=has_more, offset=found.end if found.end or has_more else None)


def _ending(keys: PageFormat, end: int, has_more: bool) -> bytes:  # noqa: FBT001 - what a page says at its end
    """Return the fields behind the records; in the dated API's form the last page has none."""
    if keys.is_paging:
        return b',"paging":{"next":{"after":"%d"}}' % end if has_more else b""
    more = b"true" if has_more else b"false"
    return b',"%s":%s,"%s":%d' % (keys.more_key.encode(), more, keys.offset_key.encode(), end)
