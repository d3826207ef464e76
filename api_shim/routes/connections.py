"""`/connect` and `/connection`: connect an account to HubSpot, show the connection, remove it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from api_shim.dependencies import AuthenticCaller, BoundedBody, Connections, once_only
from api_shim.requests.bodies import body_schema, read_body_as
from api_shim.requests.schemas import SESSION_PATTERN, ConfirmBody
from api_shim.responses.connections import (
    ConnectedAnswer,
    ConnectionAnswer,
    FactsView,
    InvitationAnswer,
    InvitationView,
    connection_view,
)
from api_shim.responses.errors import (
    CONNECTED_ANSWER,
    ERROR_ANSWERS,
    HUBSPOT_ANSWERS,
    NOT_CONFIGURED_ANSWER,
    JobFailedError,
    answer_of,
)
from api_shim.services.connections import ConnectionService, Unconfirmed, with_query
from worker.errors import AccessDeniedError, ExportError, InvalidRequestError
from worker.jobs.status import JobError
from worker.rpc.requests import Answer, Connected

router = APIRouter(tags=["connections"])

AskedPortal = Annotated[int, Path(description="`hub_id` of `GET /connection`", ge=0, le=2**63 - 1)]

_FOUND = 302
_DENIED = "access_denied"
_LONGEST_TEXT = 200
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_BY_STATE: dict[int | str, dict[str, Any]] = {
    status: answer for status, answer in ERROR_ANSWERS.items() if status not in {401, 403, 404}
}
_RETURN: dict[int | str, dict[str, Any]] = {
    302: {
        "description": "With `CONNECT_RETURN_URL`: to that address, with `connected=true`, or with `error` and "
        "`message`; for a link that is bound to a session, with `connection=pending` and a `ticket`"
    }
}
_Session = Annotated[
    str | None,
    Query(
        description="Binds the link to a session of the caller's app: a random value that only this session knows. "
        "Only `POST /connect/confirm` then connects the account",
        pattern=SESSION_PATTERN,
    ),
]


@router.get(
    "/connect",
    summary="Connect an account",
    status_code=_FOUND,
    response_model=InvitationAnswer,
    responses={**ERROR_ANSWERS, **NOT_CONFIGURED_ANSWER},
    dependencies=[once_only("session")],
)
async def connect(caller: AuthenticCaller, service: Connections, session: _Session = None) -> Response:
    """Redirect the user to the HubSpot page that authorises the app. The link is valid for ten minutes, and once.

    `Location` and the body hold the same address: browsers send no JWT with a link, so a program requests it and
    passes it to its user. Whoever opens it connects their HubSpot account to the caller's: pass it to nobody else, or
    bind it to a `session`.
    """
    invitation = service.invite(caller, session=session)
    answer = InvitationAnswer(data=InvitationView(url=invitation.url, expires_at=invitation.expires_at))
    return JSONResponse(
        answer.model_dump(mode="json"), status_code=_FOUND, headers={**_PRIVATE, "Location": invitation.url}
    )


@router.get(
    "/connect/callback",
    summary="Finish connecting",
    response_model=ConnectedAnswer,
    responses={**_BY_STATE, **HUBSPOT_ANSWERS, **NOT_CONFIGURED_ANSWER, **_RETURN},
)
async def callback(
    request: Request,
    service: Connections,
    state: Annotated[str | None, Query(description="The state of the link, which authenticates the call")] = None,
    code: Annotated[str | None, Query(description="HubSpot's authorisation code")] = None,
    error: Annotated[str | None, Query(description="HubSpot's reason for sending no code")] = None,
) -> Response:
    """Receive the user from HubSpot. The code is exchanged for a token, which is stored for the account of the state.

    If the link is bound to a session, the code is sealed in a ticket, which `POST /connect/confirm` exchanges.
    """
    # A browser is at the other end: errors go to the app's page where one is set, as parameters.
    try:
        _require_once(request)
        outcome = await _finish(service, state=state, code=code, error=error)
    except ExportError as failure:
        return _sent_back(service, {"error": _failure_code(failure), "message": failure.message}) or _private(
            answer_of(failure)
        )
    if isinstance(outcome, Unconfirmed):
        pending = {"connection": "pending", "ticket": outcome.ticket.get_secret_value()}
        return _redirect(with_query(outcome.return_url, pending))
    return _sent_back(service, {"connected": "true"}) or _connected(outcome, service)


@router.post(
    "/connect/confirm",
    summary="Confirm a connection",
    response_model=ConnectedAnswer,
    responses={**ERROR_ANSWERS, **HUBSPOT_ANSWERS, **NOT_CONFIGURED_ANSWER},
    openapi_extra=body_schema(ConfirmBody, required=True),
)
async def confirm(caller: AuthenticCaller, sent: BoundedBody, service: Connections) -> Response:
    """Connect the account of a user who came back with a ticket, if the link was issued to this user and session.

    `session` is the value that `/connect` was called with for the browser that brought the ticket. A ticket is valid
    for three minutes, and once; after a 503 that says that nothing was changed it may be sent again.
    """
    body = read_body_as(ConfirmBody, sent)
    confirmed = await service.confirm(caller, ticket=body.ticket, session=body.session)
    return _connected(_connected_by(confirmed), service)


@router.get("/connection", summary="Show the connection", response_model=ConnectionAnswer, responses=ERROR_ANSWERS)
def connection(caller: AuthenticCaller, service: Connections) -> ConnectionAnswer:
    """Show how the account is connected, without asking HubSpot. The token itself is never shown."""
    return ConnectionAnswer(data=connection_view(service.show(caller), service.settings.export_types.kinds))


@router.post(
    "/connection/recheck",
    summary="Ask for HubSpot's legacy lists again",
    response_model=ConnectionAnswer,
    responses=ERROR_ANSWERS,
)
def recheck(caller: AuthenticCaller, service: Connections) -> ConnectionAnswer:
    """Forget which legacy lists HubSpot has stopped serving to the account, and show the connection.

    With `HUBSPOT_API=auto` the next exports and pages start with the legacy lists again. Jobs that have switched to the
    dated API stay with it. HubSpot is not called by this request. Idempotent.
    """
    return ConnectionAnswer(data=connection_view(service.recheck(caller), service.settings.export_types.kinds))


@router.delete("/connection", summary="Remove the connection", status_code=204, responses=ERROR_ANSWERS)
def disconnect(caller: AuthenticCaller, service: Connections) -> Response:
    """Remove the stored token. Jobs that still need it fail with `token_not_found`; what they have stored stays.

    Current copies stay as well: `DELETE /connection/portals/{hub_id}` removes them.

    HubSpot is not told: to remove the app from the HubSpot account, uninstall it there.
    """
    service.disconnect(caller)
    return Response(status_code=204)


@router.delete(
    "/connection/portals/{hub_id}",
    summary="Remove a portal's copy",
    status_code=204,
    responses={**ERROR_ANSWERS, **CONNECTED_ANSWER},
)
def remove_portal(caller: AuthenticCaller, hub_id: AskedPortal, service: Connections) -> Response:
    """Remove the current copies of a HubSpot portal that the account is no longer connected to.

    They cannot be read from then on; a worker completes the removal of large ones. Jobs and their results stay until
    they expire. 409 for a portal that is connected.
    """
    service.remove_portal(caller, hub_id)
    return Response(status_code=204)


async def _finish(
    service: ConnectionService, *, state: str | None, code: str | None, error: str | None
) -> Connected | Unconfirmed:
    if not state:
        raise InvalidRequestError("state: is required")
    if error is not None:
        service.require_state(state)
        raise _refused(error)
    if not code:
        raise InvalidRequestError("code: is required")
    answer = await service.connect(state=state, code=code)
    return answer if isinstance(answer, Unconfirmed) else _connected_by(answer)


def _connected_by(answer: Answer) -> Connected:
    if isinstance(answer, JobError):
        raise JobFailedError(answer)
    assert isinstance(answer, Connected)  # noqa: S101 - the answer to a request to exchange a code
    return answer


def _connected(connected: Connected, service: ConnectionService) -> Response:
    facts = FactsView.of(connected.facts, service.settings.export_types.kinds)
    answer = ConnectedAnswer(data=facts).model_dump(mode="json")
    return JSONResponse(answer, headers=_PRIVATE)


def _refused(error: str) -> ExportError:
    if error == _DENIED:
        return AccessDeniedError("error: HubSpot says access_denied: the user did not let the app in")
    return InvalidRequestError(f"error: HubSpot gave no code: {error[:_LONGEST_TEXT]}")


def _require_once(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    for name in ("state", "code", "error"):
        if names.count(name) > 1:
            raise InvalidRequestError(f"{name}: is given more than once")


def _sent_back(service: ConnectionService, outcome: dict[str, str]) -> Response | None:
    """Redirect the browser to CONNECT_RETURN_URL; None if it is not set."""
    return_url = service.settings.connect_return_url
    if return_url is None:
        return None
    return _redirect(with_query(return_url, outcome))


def _redirect(url: str) -> Response:
    return Response(status_code=_FOUND, headers={**_PRIVATE, "Location": url})


def _failure_code(failure: ExportError) -> str:
    return failure.error.code if isinstance(failure, JobFailedError) else failure.code


def _private(answer: Response) -> Response:
    answer.headers.update(_PRIVATE)
    return answer
