"""`/types`, `/properties`, `/pipelines`, `/owners`: what HubSpot defines for the caller's account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api_shim.auth.jwt import Caller
from api_shim.dependencies import Authenticated, AuthenticCaller, Definitions
from api_shim.responses.definitions import (
    OwnersAnswer,
    PipelinesAnswer,
    PropertiesAnswer,
    TypesAnswer,
    definitions_answer,
    types_answer,
)
from api_shim.responses.errors import ERROR_ANSWERS, HUBSPOT_ANSWERS, JobFailedError
from api_shim.services.definitions import DefinitionService, ShownTypes
from worker.definitions.lists import Listed, ListKind
from worker.definitions.questions import ListDefinitions
from worker.jobs.status import JobError

router = APIRouter(tags=["definitions"], responses={**ERROR_ANSWERS, **HUBSPOT_ANSWERS}, dependencies=[Authenticated])

AnyType = Annotated[
    str,
    Path(
        description="The name of a type, its `object_type_id`, or `p_` with the name of a custom object",
        examples=["contacts", "0-5", "p_cars"],
        min_length=1,
        max_length=250,
    ),
]


@router.get("/types", summary="List types", response_model=TypesAnswer)
async def types(caller: AuthenticCaller, service: Definitions) -> Response:
    """List all types of objects, the account's custom objects among them, and which can be exported here.

    Where HubSpot refuses to list custom objects, the others are listed all the same, and `custom_objects` says why.
    """
    found = await service.show_types(caller)
    if not isinstance(found, ShownTypes):
        raise JobFailedError(found)
    return types_answer(found, is_enabled=service.is_enabled)


@router.get("/properties/{type}", summary="List properties", response_model=PropertiesAnswer)
async def properties(caller: AuthenticCaller, type: AnyType, service: Definitions) -> Response:  # noqa: A002 - as in the path
    """List the properties that HubSpot defines for a type now, or did at most ten minutes ago.

    Those of `notes` are the properties of all kinds of engagements.
    """
    found = await _listed(caller, type, service, kind=ListKind.PROPERTIES)
    return definitions_answer(PropertiesAnswer, found.properties)


@router.get("/pipelines/{type}", summary="List pipelines", response_model=PipelinesAnswer)
async def pipelines(caller: AuthenticCaller, type: AnyType, service: Definitions) -> Response:  # noqa: A002 - as in the path
    """List the pipelines of a type with their stages."""
    found = await _listed(caller, type, service, kind=ListKind.PIPELINES)
    return definitions_answer(PipelinesAnswer, found.pipelines)


@router.get("/owners", summary="List owners", response_model=OwnersAnswer)
async def owners(caller: AuthenticCaller, service: Definitions) -> Response:
    """List the users whom records can belong to."""
    found = await service.show(caller, ListDefinitions(kind=ListKind.OWNERS))
    if isinstance(found, JobError):
        raise JobFailedError(found)
    return definitions_answer(OwnersAnswer, found.listed.owners)


async def _listed(caller: Caller, type_: str, service: DefinitionService, *, kind: ListKind) -> Listed:
    export_type = await service.resolve_type(caller, type_)
    found = await service.show(caller, ListDefinitions(kind=kind, export_type=export_type))
    if isinstance(found, JobError):
        raise JobFailedError(found)
    return found.listed
