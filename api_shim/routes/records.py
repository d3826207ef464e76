"""`/records/{type}`: the account's current copy, in the order in which its records have changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from api_shim.dependencies import AskedCopy, AskedRecord, Authenticated, AuthenticCaller, Records, once_only
from api_shim.requests.cursors import CursorFormat, PlaceInstant, PlaceNumber
from api_shim.requests.schemas import AskedRecords, Instant, ResultsNumber
from api_shim.responses.errors import ERROR_ANSWERS, PORTAL_ANSWER
from api_shim.responses.records import record_answer, records_answer
from api_shim.responses.schemas import ErasureAnswer, RecordAnswer, RecordListAnswer
from api_shim.services.records import RecordService
from worker.current_copy.record import Place, Shown
from worker.records.page import MOST_BYTES_AT_ONCE
from worker.records.types import CopyId

router = APIRouter(tags=["records"], responses=ERROR_ANSWERS, dependencies=[Authenticated])

_DEFAULT_LIMIT = 10
_CURSORS = CursorFormat(
    TypeAdapter[tuple[datetime, int] | tuple[datetime, int, int]](
        tuple[PlaceInstant, PlaceNumber] | tuple[PlaceInstant, PlaceNumber, PlaceNumber]
    )
)
"""Of a copy whose portal is known they name it."""


@router.get(
    "/records/{type}",
    summary="List current records",
    response_model=RecordListAnswer,
    dependencies=[once_only("changed_since", "deleted", "limit", "cursor")],
    responses=PORTAL_ANSWER,
)
async def records(
    copy: AskedCopy,
    service: Records,
    changed_since: Annotated[
        Instant, Query(description="Only records that have changed at this instant or later")
    ] = None,
    deleted: Annotated[
        AskedRecords, Query(description="`true`: deleted and erased records as well; `only`: only these")
    ] = None,
    limit: Annotated[ResultsNumber, Query(description="Most records, 10 unless given")] = None,
    cursor: Annotated[str, Query(description="`pagination.cursor` of the list before")] = "",
) -> Response:
    """List the records of the current copy, in the order of their last change.

    It is the copy of the HubSpot portal that is connected; a cursor of another portal's is answered 409
    `portal_changed`. A body ends early at some 16 MB. To follow changes, read with `deleted=true` and keep the last
    cursor: later changes come after it. An erased record has `record: null`.
    """
    most = limit or _DEFAULT_LIMIT
    after = await _place(copy, service, cursor) if cursor else None
    found = await service.read(copy, shown=deleted or Shown.LIVING, since=changed_since, after=after, limit=most + 1)
    given = found[:most]
    place = given[-1].place if given else after
    further = _cursor(copy, place) if place is not None else None
    is_full = sum(len(record.body) for record in found) >= MOST_BYTES_AT_ONCE
    return records_answer(copy.export_type, given, has_more=is_full or len(found) > most, cursor=further)


@router.get("/records/{type}/{record_id}", summary="Show a current record", response_model=RecordAnswer)
async def record(copy: AskedCopy, record_id: AskedRecord, service: Records) -> Response:
    """Show one record of the current copy; one that is deleted at HubSpot as well, with the time that was noticed."""
    return record_answer(copy.export_type, await service.find(copy, record_id))


@router.delete(
    "/records/{type}/{record_id}",
    summary="Erase a record",
    status_code=204,
    response_model=None,
    responses={202: {"model": ErasureAnswer}},
)
async def erase(copy: AskedCopy, record_id: AskedRecord, caller: AuthenticCaller, service: Records) -> Response:
    """Erase a record from the current copy and from every stored page of the account, whether it is there or not.

    204 when it is gone, 202 when it has gone from the copy and from some pages, and will from the rest. What HubSpot
    still has, a later sync or export brings again: erase it there first.
    """
    if await service.erase(copy, record_id, caller):
        return Response(status_code=204)
    return JSONResponse(ErasureAnswer().model_dump(), status_code=202)


async def _place(copy: CopyId, service: RecordService, cursor: str) -> Place:
    """Read a cursor. Raises InvalidRequestError, and PortalChangedError for one of another portal's copy."""
    changed_at, record_id, *portal = _CURSORS.read(cursor)
    await service.require_its(copy, hub_id=portal[0] if portal else None)
    return Place(changed_at, record_id)


def _cursor(copy: CopyId, place: Place) -> str:
    if copy.hub_id is None:
        return _CURSORS.write((place.changed_at, place.record_id))
    return _CURSORS.write((place.changed_at, place.record_id, copy.hub_id))
