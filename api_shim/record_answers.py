"""Answers that are records of the current copy: HubSpot's record is put in as it is, the rest is written around it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from fastapi import Response

from api_shim.schemas import CopiedRecordView
from worker.pages import ExportType
from worker.records import CopiedRecord


def record_answer(export_type: ExportType, found: CopiedRecord) -> Response:
    """Answer with one record."""
    return _answer(b'"message":"Record found","data":%s' % _view(export_type, found))


def records_answer(
    export_type: ExportType, found: Iterable[CopiedRecord], *, has_more: bool, cursor: str | None
) -> Response:
    """Answer with some of a list's records; the cursor leads on whether there is more by now or not."""
    data = b",".join(_view(export_type, record) for record in found)
    pagination = json.dumps({"hasMore": True if has_more else None, "cursor": cursor}, separators=(",", ":"))
    return _answer(b'"message":"Records found","data":[%s],"pagination":%s' % (data, pagination.encode()))


def _answer(fields: bytes) -> Response:
    return Response(b'{"success":true,%s}' % fields, media_type="application/json")


def _view(export_type: ExportType, found: CopiedRecord) -> bytes:
    view = CopiedRecordView(
        id=found.record_id,
        type=export_type,
        synced_at=found.synced_at,
        changed_at=found.changed_at,
        deleted_at=found.deleted_at,
        erased_at=found.erased_at,
        sync_id=found.sync_id,
    )
    apart = {"record"} if found.erased_at is not None else {"record", "erased_at"}
    return b'%s,"record":%s}' % (view.model_dump_json(exclude=apart).encode()[:-1], found.body)
