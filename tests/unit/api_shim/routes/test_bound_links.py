"""Links of `/connect` that are bound to a session: nothing is connected before the right user has confirmed it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import SecretStr

from api_shim.services import connect_state
from tests.fakes import rpc_requests
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.routes.test_connections import CODE_REFUSED, CONNECTED, REDIRECT, SETTINGS, come_back
from tests.unit.api_shim.shim import Shim, mint, problem
from worker.jobs.status import JobError
from worker.rpc.requests import ExchangeCode

HOME = "https://app.example.test/settings?tab=1"
SESSION = "a-value-of-this-browser"
NOT_YOURS = "ticket: belongs to another user or session; begin again at /connect"


@pytest.fixture
def shim(running: Running) -> Iterator[Shim]:
    with running(**SETTINGS, connect_return_url=HOME) as shim:
        yield shim


def bound_state(shim: Shim, *, session: str = SESSION, **claims: str) -> str:
    answer = shim.get(f"/connect?{urlencode({'session': session})}", authorization=f"Bearer {mint(claims)}")
    assert answer.status_code == 302, answer.text
    assert session not in answer.text + answer.headers["Location"]
    return parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]


def ticket_of(shim: Shim, *, code: str = "the-code", **claims: str) -> str:
    """Follow a link as a browser, and return the ticket that it came home with."""
    answer = come_back(shim, state=bound_state(shim, **claims), code=code)
    assert answer.status_code == 302, answer.text
    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert answer.headers["Location"].startswith(f"{HOME}&")
    assert told.keys() == {"tab", "connection", "ticket"}
    assert told["connection"] == ["pending"]
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    return str(told["ticket"][0])


def confirm(shim: Shim, ticket: str, *, session: str = SESSION, **claims: str) -> Any:  # noqa: ANN401 - an answer
    sent = {"ticket": ticket, "session": session}
    return shim.post("/connect/confirm", sent, authorization=f"Bearer {mint(claims)}")


def test_until_it_is_confirmed_nothing_is_asked_of_anyone_and_nothing_is_stored(shim: Shim) -> None:
    ticket = ticket_of(shim)

    assert (shim.rpc_requests.all, shim.rpc_request_queue.published) == ([], [])
    assert "the-code" not in ticket


def test_whom_the_link_was_made_for_is_connected(shim: Shim) -> None:
    ticket = ticket_of(shim, account_id="a9", uid="u9")

    with shim.answering(CONNECTED) as taken:
        answer = confirm(shim, ticket, account_id="a9", uid="u9")

    assert (answer.status_code, answer.json()["message"]) == (200, "Account connected")
    assert answer.json()["data"]["hub_id"] == 62515
    assert answer.headers["Cache-Control"] == "no-store"
    rpc_request = taken.result()
    assert (rpc_request.account_id, rpc_request.owner, rpc_request.secret) == ("a9", "u9", SecretStr("the-code"))
    assert rpc_request.question == ExchangeCode(redirect_uri=REDIRECT)


@pytest.mark.parametrize(
    "stranger",
    [{"session": "the-value-of-another"}, {"account_id": "a2"}, {"uid": "u2"}, {"account_id": "u1", "uid": "a1"}],
)
def test_nobody_else_can_confirm_it_and_the_ticket_stays_good_for_its_owner(
    shim: Shim, stranger: dict[str, str]
) -> None:
    ticket = ticket_of(shim)

    answer = confirm(shim, ticket, **stranger)

    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (400, "invalid_request", NOT_YOURS)
    assert (shim.rpc_requests.all, shim.rpc_request_queue.published) == ([], [])
    with shim.answering(CONNECTED):
        assert confirm(shim, ticket).status_code == 200


def test_a_link_without_a_session_is_no_ticket_and_a_ticket_no_link(shim: Shim) -> None:
    state, ticket = bound_state(shim), ticket_of(shim)
    answers = [confirm(shim, state), come_back(shim, state=ticket, code="x")]

    assert answers[0].json()["message"] == (
        "ticket: is not one that /connect/callback gave out; begin again at /connect"
    )
    assert parse_qs(urlsplit(answers[1].headers["Location"]).query)["error"] == ["invalid_request"]


def test_a_ticket_is_good_once_and_so_are_all_of_one_link(shim: Shim) -> None:
    state = bound_state(shim)
    tickets = []
    for _ in range(2):  # the page was loaded again
        answer = come_back(shim, state=state, code="the-code")
        tickets.append(parse_qs(urlsplit(answer.headers["Location"]).query)["ticket"][0])
    with shim.answering(CONNECTED):
        assert confirm(shim, tickets[0]).status_code == 200

    again = [confirm(shim, ticket).json()["message"] for ticket in tickets]

    assert again == ["ticket: was used before; begin again at /connect"] * 2
    assert len(shim.rpc_request_queue.published) == 1


def test_a_ticket_is_good_for_three_minutes(shim: Shim) -> None:
    ticket = ticket_of(shim)
    shim.clock.advance(181)

    assert confirm(shim, ticket).json()["message"] == "ticket: is older than 3 minutes; begin again at /connect"
    assert shim.rpc_requests.all == []


def test_where_nobody_could_be_asked_the_ticket_may_be_sent_again(shim: Shim) -> None:
    ticket = ticket_of(shim)
    shim.rpc_request_queue.is_away = True
    answer = confirm(shim, ticket)
    assert (answer.status_code, answer.json()["message"]) == (503, "The message broker is not available")
    shim.rpc_request_queue.is_away = False

    with shim.answering(CONNECTED):
        assert confirm(shim, ticket).status_code == 200


def test_what_hubspot_refuses_is_answered_to_the_app(shim: Shim) -> None:
    ticket = ticket_of(shim)
    with shim.answering(JobError.of(CODE_REFUSED)):
        answer = confirm(shim, ticket)

    assert (answer.status_code, answer.json()["message"]) == (400, "code: no")


def test_a_user_who_says_no_comes_home_without_a_ticket(shim: Shim) -> None:
    answer = come_back(shim, state=bound_state(shim), error="access_denied")

    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (told["error"], "ticket" in told) == (["access_denied"], False)


def test_a_code_that_is_none_of_hubspots_goes_into_no_address(shim: Shim) -> None:
    answer = come_back(shim, state=bound_state(shim), code="x" * 1025)

    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert told["message"] == ["code: must be at most 1024 characters"]


@pytest.mark.parametrize(
    "session", ["", "x" * 15, "x" * 257, "a value of this browser", "ünder-the-session", "x" * 16 + "\n"]
)
def test_a_session_is_an_opaque_value_of_some_length(shim: Shim, session: str) -> None:
    answers = [shim.get(f"/connect?{urlencode({'session': session})}"), confirm(shim, "ticket", session=session)]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert [answer.json()["message"].partition(":")[0] for answer in answers] == ["session", "session"]


def test_a_session_is_named_once(shim: Shim) -> None:
    answer = shim.get(f"/connect?session={SESSION}&session={SESSION}x")

    assert (answer.status_code, answer.json()["message"]) == (400, "session: is given more than once")


@pytest.mark.parametrize("body", [{}, {"ticket": "x"}, {"session": SESSION}, {"ticket": "", "session": SESSION}])
def test_a_body_that_lacks_something_is_refused(shim: Shim, body: dict[str, str]) -> None:
    assert shim.post("/connect/confirm", body).status_code == 400


def test_only_a_caller_confirms(shim: Shim) -> None:
    sent = {"ticket": ticket_of(shim), "session": SESSION}
    answers = [
        shim.post("/connect/confirm", sent, authorization=authorization)
        for authorization in ("", f"Bearer {mint({'scope': 'other'})}")
    ]
    assert [answer.status_code for answer in answers] == [401, 403]


def test_a_place_to_come_home_to_is_needed(running: Running) -> None:
    with running(**SETTINGS) as shim:
        answer = shim.get(f"/connect?session={SESSION}")

    message = "Accounts cannot be connected here before these settings are made: CONNECT_RETURN_URL"
    assert problem(answer) == (
        501,
        {"success": False, "errno": 501, "message": message, "code": "not_configured"},
    )


def test_the_id_of_an_rpc_request_is_taken_for_longer_than_a_ticket_is_good() -> None:
    assert connect_state.LIFE + connect_state.TICKET_LIFE + timedelta(minutes=1) < rpc_requests.LIFE
