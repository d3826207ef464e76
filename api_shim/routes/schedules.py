"""`/schedule`: the account's scheduled sync."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from api_shim.dependencies import AuthenticCaller, BodyWithNames, Exports, Schedules, Types
from api_shim.requests.bodies import body_schema, read_body_as
from api_shim.requests.schemas import ScheduleBody
from api_shim.responses.errors import ERROR_ANSWERS
from api_shim.responses.schedules import ScheduleAnswer
from api_shim.services.schedules import Standing

router = APIRouter(tags=["schedules"], responses=ERROR_ANSWERS)

_OK, _CREATED = 200, 201


async def _schedule_body(caller: AuthenticCaller, sent: BodyWithNames, names: Types) -> ScheduleBody:
    """Parse the body, and look up what it names; `*` stays, since each run decides what it stands for."""
    body = read_body_as(ScheduleBody, sent, enabled=names.enabled)
    types = await names.types_of(caller, body)
    properties = await names.properties_of(caller, body, types)
    return body.model_copy(update={"types": types, "properties": properties})


AskedSchedule = Annotated[ScheduleBody, Depends(_schedule_body)]


@router.get("/schedule", summary="Show the schedule", response_model=ScheduleAnswer)
def schedule(caller: AuthenticCaller, schedules: Schedules) -> Response:
    """Show the schedule of the caller's account and user, when it runs next, and what keeps it from running."""
    return _answer(schedules.find(caller), message="Schedule found")


@router.put(
    "/schedule",
    summary="Store the schedule",
    response_model=ScheduleAnswer,
    responses={201: {"model": ScheduleAnswer, "description": "There was no schedule before"}},
    openapi_extra=body_schema(ScheduleBody, required=True),
)
def put_schedule(caller: AuthenticCaller, body: AskedSchedule, schedules: Schedules, service: Exports) -> Response:
    """Store the schedule, replacing the previous one. What is known of earlier runs stays."""
    webhook = service.webhooks.accept(body.webhook) if body.webhook is not None else None
    standing, is_new = schedules.put(caller, body, webhook=webhook)
    return _answer(standing, message="Schedule stored", status=_CREATED if is_new else _OK)


@router.delete("/schedule", summary="Remove the schedule", status_code=204)
def delete_schedule(caller: AuthenticCaller, schedules: Schedules) -> Response:
    """Remove the schedule. A sync that it has started continues."""
    schedules.remove(caller)
    return Response(status_code=204)


def _answer(standing: Standing, *, message: str, status: int = _OK) -> Response:
    content = ScheduleAnswer.of(standing, message=message).model_dump(mode="json")
    return JSONResponse(content, status_code=status)
