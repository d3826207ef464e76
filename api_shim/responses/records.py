"""Answers that are records of the current copy: HubSpot's bytes, with the rest written around them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

import msgspec
from fastapi import Response
from msgspec import UNSET, UnsetType

from worker.current_copy.record import CopiedRecord
from worker.records.types import ExportType


class _View(msgspec.Struct, gc=False):
    """A `CopiedRecordView` for serialisation; pydantic takes eight times as long."""

    id: int
    type: str
    synced_at: datetime
    changed_at: datetime
    deleted_at: datetime | None
    erased_at: datetime | UnsetType
    sync_id: str
    record: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def record_answer(export_type: ExportType, found: CopiedRecord) -> Response:
    return _answer(b'"message":"Record found","data":%s' % _encode(_view(export_type, found)))


def records_answer(
    export_type: ExportType, found: Iterable[CopiedRecord], *, has_more: bool, cursor: str | None
) -> Response:
    """`cursor` stays usable when there is no more yet: later changes come after it."""
    data = _encode([_view(export_type, record) for record in found])
    pagination = json.dumps({"hasMore": True if has_more else None, "cursor": cursor}, separators=(",", ":"))
    return _answer(b'"message":"Records found","data":%s,"pagination":%s' % (data, pagination.encode()))


def _answer(fields: bytes) -> Response:
    return Response(b'{"success":true,%s}' % fields, media_type="application/json")


def _view(export_type: ExportType, found: CopiedRecord) -> _View:
    return _View(
        id=found.record_id,
        type=export_type,
        synced_at=found.synced_at,
        changed_at=found.changed_at,
        deleted_at=found.deleted_at,
        erased_at=found.erased_at or UNSET,
        sync_id=found.sync_id,
        record=msgspec.Raw(found.body),
    )
