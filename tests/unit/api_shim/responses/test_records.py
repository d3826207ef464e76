"""Answers that are records of the copy: written by msgspec, and the same as the documented model writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api_shim.responses.records import record_answer, records_answer
from api_shim.responses.schemas import CopiedRecordView
from worker.current_copy.record import CopiedRecord
from worker.records.types import DOCUMENTED_TYPES, ExportType

_INSTANTS = st.integers(-(10**13), 10**14).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_RECORDS = st.builds(
    CopiedRecord,
    record_id=st.integers(0, 2**63 - 1),
    body=st.dictionaries(st.text(), st.text() | st.floats() | st.integers()).map(
        lambda each: json.dumps(each).encode()
    ),
    synced_at=_INSTANTS,
    changed_at=_INSTANTS,
    deleted_at=st.none() | _INSTANTS,
    sync_id=_TEXTS,
    erased_at=st.none() | _INSTANTS,
)


def documented(export_type: ExportType, found: CopiedRecord) -> bytes:
    """Write a record by its model, with HubSpot's bytes in it."""
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


@given(
    export_type=st.sampled_from(DOCUMENTED_TYPES),
    found=st.lists(_RECORDS, max_size=3),
    has_more=st.booleans(),
    cursor=st.none() | _TEXTS,
)
def test_bodies_are_those_of_the_documented_model(
    export_type: ExportType, found: list[CopiedRecord], *, has_more: bool, cursor: str | None
) -> None:
    views = [documented(export_type, each) for each in found]
    pagination = json.dumps({"hasMore": True if has_more else None, "cursor": cursor}, separators=(",", ":")).encode()

    listed = records_answer(export_type, found, has_more=has_more, cursor=cursor).body
    shown = [record_answer(export_type, each).body for each in found]

    assert listed == b'{"success":true,"message":"Records found","data":[%s],"pagination":%s}' % (
        b",".join(views),
        pagination,
    )
    assert shown == [b'{"success":true,"message":"Record found","data":%s}' % view for view in views]
