"""`/records/{type}`: the account's current copy, in the order in which its records have changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from api_shim.dependencies import AskedRecord, AskedType, Authenticated, AuthenticCaller, Records, once_only
from api_shim.requests.cursors import CursorFormat, KeyInstant, KeyNumber
from api_shim.requests.schemas import AskedRecords, Instant, ResultsNumber
from api_shim.responses.errors import ERROR_ANSWERS, PORTAL_ANSWER
from api_shim.responses.records import record_answer, records_answer
from api_shim.responses.schemas import ErasureAnswer, RecordAnswer, RecordListAnswer
from api_shim.services.records import RecordService
from worker.current_copy.record import ChangePosition, Shown
from worker.records.page import MOST_BYTES_AT_ONCE
from worker.records.types import CopyId

router = APIRouter(tags=["records"], responses=ERROR_ANSWERS, dependencies=[Authenticated])

_DEFAULT_LIMIT = 10
_CURSORS = CursorFormat(
    TypeAdapter[tuple[datetime, int] | tuple[datetime, int, int]](
        tuple[KeyInstant, KeyNumber] | tuple[KeyInstant, KeyNumber, KeyNumber]
    )
)
"""The cursor of a copy whose portal is known ends with that portal."""


@router.get(
    "/records/{type}",
    summary="List current records",
    response_model=RecordListAnswer,
    dependencies=[once_only("changed_since", "deleted", "limit", "cursor")],
    responses=PORTAL_ANSWER,
)
def records(
    caller: AuthenticCaller,
    export_type: AskedType,
    service: Records,
    changed_since: Annotated[Instant, Query(description="Only records that changed at this instant or later")] = None,
    deleted: Annotated[
        AskedRecords, Query(description="`true`: deleted and erased records as well; `only`: nothing else")
    ] = None,
    limit: Annotated[ResultsNumber, Query(description="The maximum number of records; default 10")] = None,
    cursor: Annotated[str, Query(description="`pagination.cursor` of the previous list")] = "",
) -> Response:
    """List the records of the current copy, in the order of their last change.

    The copy is that of the connected HubSpot portal; a cursor of another portal's copy is answered 409
    `portal_changed`. A page ends early at about 16 MB. To follow changes, read with `deleted=true` and keep the last
    cursor: later changes come after it. An erased record has `record: null`.
    """
    most = limit or _DEFAULT_LIMIT
    copy = service.copy_of(caller, export_type)
    after = _read_cursor(copy, service, cursor) if cursor else None
    found = service.read(copy, shown=deleted or Shown.LIVING, since=changed_since, after=after, limit=most + 1)
    page = found[:most]
    # An empty page repeats the cursor: later changes come after it.
    last = page[-1].place if page else after
    further = _cursor(copy, last) if last is not None else None
    is_full = sum(len(record.body) for record in found) >= MOST_BYTES_AT_ONCE
    return records_answer(copy.export_type, page, has_more=is_full or len(found) > most, cursor=further)


@router.get("/records/{type}/{record_id}", summary="Show a current record", response_model=RecordAnswer)
def record(caller: AuthenticCaller, export_type: AskedType, record_id: AskedRecord, service: Records) -> Response:
    """Show one record of the current copy. One that HubSpot has deleted is shown with the time that was noticed."""
    return record_answer(export_type, service.find(service.copy_of(caller, export_type), record_id))


@router.delete(
    "/records/{type}/{record_id}",
    summary="Erase a record",
    status_code=204,
    response_model=None,
    responses={202: {"model": ErasureAnswer}},
)
def erase(caller: AuthenticCaller, export_type: AskedType, record_id: AskedRecord, service: Records) -> Response:
    """Erase a record from the current copy and from all stored pages of the account, whether it is there or not.

    204 when it is erased everywhere, 202 when some pages remain, which a worker completes. A record that still exists
    at HubSpot comes back with a later sync or export: delete it there first.
    """
    if service.erase(service.copy_of(caller, export_type), record_id, caller):
        return Response(status_code=204)
    return JSONResponse(ErasureAnswer().model_dump(), status_code=202)


def _read_cursor(copy: CopyId, service: RecordService, cursor: str) -> ChangePosition:
    """Raise InvalidRequestError, or PortalChangedError for a cursor of another portal's copy."""
    changed_at, record_id, *portal = _CURSORS.read(cursor)
    service.require_same_portal(copy, hub_id=portal[0] if portal else None)
    return ChangePosition(changed_at, record_id)


def _cursor(copy: CopyId, last: ChangePosition) -> str:
    if copy.hub_id is None:
        return _CURSORS.write((last.changed_at, last.record_id))
    return _CURSORS.write((last.changed_at, last.record_id, copy.hub_id))
