"""`/connect` and `/connection`: whom a link connects, how often, and what is shown and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import SecretStr

from api_shim.services import connect_state
from tests.fakes import rpc_requests
from tests.fakes.clock import START
from tests.fakes.rpc_requests import InMemoryRpcRequestStore
from tests.unit.api_shim.conftest import Running, serving
from tests.unit.api_shim.shim import BASE_PATH, Parts, Shim, mint, problem, token_of
from worker.accounts.connection import Fingerprint, Refusal, TokenInfo
from worker.accounts.token import Token
from worker.errors import CodeRefusedError, FatalHubSpotError, RateLimitedError, TokenUnreadableError
from worker.jobs.status import JobError
from worker.records.types import CONTACTS, DEALS, NOTES, ExportType
from worker.rpc.mongo import requests as mongo_rpc_requests
from worker.rpc.requests import Connected, ExchangeCode, RpcRequest

REDIRECT = "https://api.example.test/v1/integrations/hubspot/connect/callback"
SETTINGS = {
    "hubspot_client_id": "the-app",
    "hubspot_redirect_uri": REDIRECT,
    "connect_state_secret": "the secret of the links to HubSpot",
}
SCOPES = ("oauth", "crm.objects.contacts.read", "crm.objects.companies.read")
FACTS = TokenInfo(hub_id=62515, user_id=7, user="someone@example.test", scopes=SCOPES)
CONNECTED = Connected(facts=FACTS)
MISSING = {"deals": ["crm.objects.deals.read"]}

CODE_REFUSED = CodeRefusedError("code: no", status=400, body={"status": "BAD_AUTH_CODE"}, details="begin again")


class LostErrandStore(InMemoryRpcRequestStore):
    """A store whose RPC requests are taken at once, by a worker that is not heard of again."""

    def add(self, rpc_request: RpcRequest) -> bool:
        return super().add(rpc_request) and self.take(rpc_request.rpc_id) is not None


@pytest.fixture
def shim(running: Running) -> Iterator[Shim]:
    with running(**SETTINGS) as shim:
        yield shim


def link(shim: Shim, **claims: object) -> dict[str, str]:
    """Ask for a link, and give the parameters in it."""
    answer = shim.get("/connect", authorization=f"Bearer {mint(claims)}")
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def come_back(shim: Shim, **query: str) -> Any:  # noqa: ANN401 - an answer
    return shim.get(f"/connect/callback?{urlencode(query)}", authorization="")


def refused(message: str, *, code: str = "invalid_request") -> tuple[int, dict[str, object]]:
    return 400, {"success": False, "errno": 400, "message": message, "code": code}


# The way there


def test_the_user_is_sent_to_hubspot_with_what_the_app_asks_for(running: Running) -> None:
    page = "https://app.hubspot.test/oauth/authorize?lang=de"
    with running(**SETTINGS, hubspot_authorize_url=page, hubspot_optional_scopes="sales-email-read a") as shim:
        answer = shim.get("/connect")

    location = answer.headers["Location"]
    asked = parse_qs(urlsplit(location).query)
    state = asked.pop("state")
    assert location.startswith("https://app.hubspot.test/oauth/authorize?lang=de&client_id=the-app&")
    assert asked == {
        "lang": ["de"],
        "client_id": ["the-app"],
        "redirect_uri": [REDIRECT],
        "scope": ["oauth crm.objects.contacts.read crm.objects.companies.read crm.objects.deals.read"],
        "optional_scope": ["sales-email-read a"],
    }
    assert len(state[0]) > 100
    assert "+" not in location
    assert answer.json() == {
        "success": True,
        "message": "Send the user there",
        "data": {"url": location, "expires_at": "2026-11-23T15:10:00Z"},
    }


def test_a_link_is_kept_by_nobody_on_the_way(shim: Shim) -> None:
    answers = [shim.get("/connect"), come_back(shim, state="x", code="y")]

    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_only_a_caller_gets_a_link(shim: Shim) -> None:
    assert shim.get("/connect", authorization="").status_code == 401
    assert shim.get("/connect", authorization=f"Bearer {mint({'scope': 'other'})}").status_code == 403


@pytest.mark.parametrize("missing", [*SETTINGS, None])
def test_a_setting_that_is_missing_is_named(running: Running, missing: str | None) -> None:
    left = {name: value for name, value in SETTINGS.items() if missing is not None and name != missing}
    with running(**left) as shim:
        answers = [shim.get("/connect"), come_back(shim, state="x", code="y"), come_back(shim, state="x", error="z")]

    named = [missing.upper()] if missing else ["HUBSPOT_CLIENT_ID", "HUBSPOT_REDIRECT_URI", "CONNECT_STATE_SECRET"]
    message = f"Accounts cannot be connected here before these settings are made: {', '.join(named)}"
    expected = {"success": False, "errno": 501, "message": message, "code": "not_configured"}
    assert [problem(answer) for answer in answers] == [(501, expected)] * 3


# The way back


def test_a_code_is_exchanged_for_whom_the_link_was_made(shim: Shim) -> None:
    state = link(shim, account_id="a9", uid="u9")["state"]

    with shim.answering(CONNECTED) as taken:
        answer = come_back(shim, state=state, code="the-code")

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "Account connected",
        "data": {
            "hub_id": 62515,
            "user_id": 7,
            "user": "someone@example.test",
            "scopes": list(SCOPES),
            "missing_scopes": MISSING,
        },
    }
    rpc_request = taken.result()
    assert (rpc_request.account_id, rpc_request.owner, rpc_request.secret) == ("a9", "u9", SecretStr("the-code"))
    assert rpc_request.question == ExchangeCode(redirect_uri=REDIRECT)


def test_a_link_is_good_once(shim: Shim) -> None:
    state = link(shim)["state"]
    with shim.answering(CONNECTED):
        come_back(shim, state=state, code="the-code")

    answer = come_back(shim, state=state, code="another-code")

    assert problem(answer) == refused("state: was used before; begin again at /connect")
    assert len(shim.rpc_request_queue.published) == 1


def test_a_link_is_good_once_whatever_became_of_it(shim: Shim) -> None:
    state = link(shim)["state"]
    with shim.answering(JobError.of(CODE_REFUSED)):
        come_back(shim, state=state, code="the-code")

    assert problem(come_back(shim, state=state, code="another-code"))[1]["message"].startswith("state: was used")


def test_a_link_is_good_for_ten_minutes(shim: Shim) -> None:
    state = link(shim)["state"]
    shim.clock.advance(601)

    assert problem(come_back(shim, state=state, code="x")) == refused(
        "state: is older than 10 minutes; begin again at /connect"
    )
    assert shim.rpc_requests.all == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "state: is required"),
        ({"code": "x"}, "state: is required"),
        ({"state": "", "code": "x"}, "state: is required"),
        ({"error": "access_denied"}, "state: is required"),
        ({"state": "forged", "code": "x"}, "state: is not one that /connect gave out; begin again at /connect"),
        ({"state": "forged", "error": "x"}, "state: is not one that /connect gave out; begin again at /connect"),
    ],
)
def test_who_comes_without_a_link_of_ours_is_told_so_and_nothing_is_done(
    shim: Shim, query: dict[str, str], message: str
) -> None:
    assert problem(come_back(shim, **query)) == refused(message)
    assert shim.rpc_requests.all == []


def test_without_a_code_nothing_is_done(shim: Shim) -> None:
    for query in ({}, {"code": ""}):
        assert problem(come_back(shim, state=link(shim)["state"], **query)) == refused("code: is required")
    assert shim.rpc_requests.all == []


@pytest.mark.parametrize("name", ["state", "code", "error"])
def test_a_parameter_that_comes_twice_is_refused_by_name(shim: Shim, name: str) -> None:
    state = link(shim)["state"]
    query = urlencode([("state", state), ("code", "x"), ("error", "y"), (name, "z")])

    answer = shim.get(f"/connect/callback?{query}", authorization="")

    assert problem(answer) == refused(f"{name}: is given more than once")


def test_a_user_who_says_no_is_heard_and_may_change_their_mind(shim: Shim) -> None:
    state = link(shim)["state"]

    answer = come_back(shim, state=state, error="access_denied", error_description="<script>")

    message = "error: HubSpot says access_denied: the user did not let the app in"
    assert problem(answer) == refused(message, code="access_denied")
    assert shim.rpc_requests.all == []
    with shim.answering(CONNECTED):
        assert come_back(shim, state=state, code="the-code").status_code == 200


def test_any_other_reason_of_hubspots_is_said_shortened(shim: Shim) -> None:
    answer = come_back(shim, state=link(shim)["state"], error="x" * 5000)

    assert problem(answer) == refused(f"error: HubSpot gave no code: {'x' * 200}")


@pytest.mark.parametrize(
    ("error", "status", "errno", "code"),
    [
        (CODE_REFUSED, 400, 400, "invalid_request"),
        (FatalHubSpotError("no app", status=401, body={"a": 1}), 502, 401, "hubspot_error"),
        (RateLimitedError("slow down", status=429, body=None, retry_after_s=7), 429, 429, "hubspot_error"),
    ],
)
def test_what_hubspot_refuses_is_answered_as_everywhere(
    shim: Shim, error: FatalHubSpotError, status: int, errno: int, code: str
) -> None:
    with shim.answering(JobError.of(error)):
        answer = come_back(shim, state=link(shim)["state"], code="the-code")

    body = answer.json()
    assert (answer.status_code, body["errno"], body["code"], body["message"]) == (status, errno, code, error.message)
    assert body["response"] == {"data": error.body}
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)


def test_a_key_that_a_worker_lacks_is_answered_with_503(shim: Shim) -> None:
    with shim.answering(JobError.of(TokenUnreadableError())):
        answer = come_back(shim, state=link(shim)["state"], code="the-code")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_without_the_broker_nothing_is_done_and_the_link_stays_good(shim: Shim) -> None:
    state = link(shim)["state"]
    shim.rpc_request_queue.is_away = True
    answer = come_back(shim, state=state, code="the-code")
    assert (answer.status_code, answer.json()["message"]) == (503, "The message broker is not available")
    assert int(answer.headers["Retry-After"]) > 0
    assert shim.rpc_requests.all == []

    shim.rpc_request_queue.is_away = False
    with shim.answering(CONNECTED):
        assert come_back(shim, state=state, code="the-code").status_code == 200


def test_without_the_database_nothing_is_done(shim: Shim) -> None:
    shim.rpc_requests.is_away = True

    answer = come_back(shim, state=link(shim)["state"], code="the-code")

    assert (answer.status_code, answer.json()["message"]) == (503, "The database is not available")
    assert shim.rpc_request_queue.published == []


def test_without_a_worker_nothing_is_done_and_the_link_stays_good(running: Running) -> None:
    with running(**SETTINGS, export_wait_seconds=0.1) as shim:
        state = link(shim)["state"]
        answer = come_back(shim, state=state, code="the-code")
        left = shim.rpc_requests.all

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "nothing was changed" in answer.json()["message"]
    assert int(answer.headers["Retry-After"]) > 0
    assert left == []


def test_a_worker_that_does_not_come_back_uses_the_link_up(parts: Parts) -> None:
    lonely = replace(parts, rpc_requests=LostErrandStore(parts.clock))
    with serving(lonely, **SETTINGS, export_wait_seconds=0.1) as shim:
        state = link(shim)["state"]
        answer, again = (come_back(shim, state=state, code="the-code") for _ in range(2))

    assert (answer.status_code, answer.json()["message"]) == (503, "HubSpot has not answered in time")
    assert again.json()["message"] == "state: was used before; begin again at /connect"


def test_without_wake_ups_the_answer_is_found_by_looking(shim: Shim) -> None:
    shim.redis.connected = False

    with shim.answering(CONNECTED):
        assert come_back(shim, state=link(shim)["state"], code="the-code").status_code == 200


@pytest.mark.parametrize("query", [{"code": "c"}, {"error": "access_denied"}, {"state": "x"}])
def test_browsers_are_sent_home_and_nowhere_else(running: Running, query: dict[str, str]) -> None:
    home = "https://app.example.test/settings?tab=1"
    with running(**SETTINGS, connect_return_url=home) as shim, shim.answering(CONNECTED):
        come_back(shim, state=link(shim)["state"], code="c")
        state = link(shim)["state"]
        given = {"state": state, "return_url": "https://evil.test", "redirect_uri": "https://evil.test", **query}
        if "code" in query:
            with shim.answering(CONNECTED):
                answer = come_back(shim, **given)
        else:
            answer = come_back(shim, **given)

    assert answer.status_code == 302
    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert answer.headers["Location"].startswith(f"{home}&")
    assert told.get("connected") == (["true"] if "code" in query else None)
    assert (
        told.get("error") == {"code": None, "error": ["access_denied"], "state": ["invalid_request"]}[next(iter(query))]
    )
    assert "c" not in told
    assert answer.headers["Cache-Control"] == "no-store"


# How a connection is


def live_token(**changes: object) -> Token:
    return replace(token_of("a1", "u1"), generated_at=START, **changes)  # type: ignore[arg-type]  # fields there are


def test_of_a_token_that_another_program_stored_what_it_says_is_shown_and_no_more(shim: Shim) -> None:
    shim.tokens.put(live_token())

    answer = shim.get("/connection")

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "Connection found",
        "data": {
            "status": "connected",
            "since": None,
            "reason": None,
            "hub_id": None,
            "user_id": None,
            "user": None,
            "scopes": None,
            "missing_scopes": None,
            "checked_at": None,
            "generated_at": "2026-11-23T15:00:00Z",
            "expires_at": "2026-11-23T15:30:00Z",
            "encrypted": False,
            "portals": [],
            "lists_gone": [],
        },
    }
    assert (shim.rpc_requests.all, shim.queue.published) == ([], [])


def test_what_hubspot_has_said_is_shown_as_of_then(shim: Shim) -> None:
    token = live_token(is_encrypted=True)
    shim.tokens.put(token)
    shim.connections.learn("a1", "u1", FACTS, fingerprint=Fingerprint.of(token), at=START)

    data = shim.get("/connection").json()["data"]

    assert (data["hub_id"], data["user_id"], data["user"]) == (62515, 7, "someone@example.test")
    assert (data["scopes"], data["missing_scopes"]) == (list(SCOPES), MISSING)
    assert (data["checked_at"], data["encrypted"]) == ("2026-11-23T15:00:00Z", True)


def test_a_refused_connection_says_since_when_and_why(shim: Shim) -> None:
    token = live_token()
    shim.tokens.put(token)
    refusal = Refusal(reason="revoked", since=START, asked_at=None, token=Fingerprint.of(token).token, client_id="x")
    shim.connections.refuse("a1", "u1", refusal)

    data = shim.get("/connection").json()["data"]

    assert (data["status"], data["since"], data["reason"]) == ("reconnect_required", "2026-11-23T15:00:00Z", "revoked")
    shim.tokens.put(live_token(access_token=SecretStr("newly stored")))
    assert shim.get("/connection").json()["data"]["status"] == "connected"


@pytest.mark.parametrize(
    "changes",
    [
        {"generated_at": None},
        {"expires_in_s": None},
        {"expires_in_s": 1e300},
        {"expires_in_s": -5},
        {"access_token": None},
    ],
)
def test_an_end_that_nobody_can_tell_is_null(shim: Shim, changes: dict[str, object]) -> None:
    shim.tokens.put(replace(live_token(), **changes))  # type: ignore[arg-type]  # fields that there are

    assert shim.get("/connection").json()["data"]["expires_at"] is None


def test_the_token_is_never_shown(shim: Shim) -> None:
    shim.tokens.put(live_token(access_token=SecretStr("access-secret"), refresh_token=SecretStr("refresh-secret")))

    assert "-secret" not in shim.get("/connection").text


@pytest.mark.parametrize("claims", [{"account_id": "a2"}, {"uid": "u2"}])
def test_another_account_or_user_sees_and_ends_nothing(shim: Shim, claims: dict[str, str]) -> None:
    shim.tokens.put(live_token())
    stranger = f"Bearer {mint(claims)}"

    for method, path in (("GET", "/connection"), ("DELETE", "/connection"), ("POST", "/connection/recheck")):
        answer = shim.ask(method, f"{BASE_PATH}{path}", authorization=stranger)
        assert problem(answer) == (
            404,
            {"success": False, "errno": 400, "message": "Api Token Not Found", "code": "token_not_found"},
        )
    assert shim.get("/connection").status_code == 200


def test_a_disconnected_account_is_forgotten(shim: Shim) -> None:
    shim.tokens.put(live_token())
    shim.connections.learn("a1", "u1", FACTS, fingerprint=Fingerprint.of(live_token()), at=START)

    answer = shim.delete("/connection")

    assert (answer.status_code, answer.content) == (204, b"")
    assert shim.get("/connection").json()["code"] == "token_not_found"
    assert shim.post("/export/contacts").json()["code"] == "token_not_found"
    assert shim.connections.find("a1", "u1") is None
    assert shim.delete("/connection").status_code == 404


@pytest.mark.parametrize("part", ["tokens", "connections", "gone_lists"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/connection"), ("DELETE", "/connection"), ("POST", "/connection/recheck")]
)
def test_without_the_database_a_connection_is_neither_shown_nor_ended(
    shim: Shim, method: str, path: str, part: str
) -> None:
    getattr(shim, part).is_away = True

    answer = shim.ask(method, f"{BASE_PATH}{path}")

    assert (answer.status_code, answer.json()["message"]) == (503, "The database is not available")
    assert int(answer.headers["Retry-After"]) > 0


# Legacy lists that are gone


def lose(shim: Shim, account_id: str = "a1", export_type: ExportType = DEALS) -> None:
    """Let HubSpot answer twice that a list is gone."""
    for _ in range(2):
        shim.gone_lists.sight(account_id, export_type, status=404, message="resource not found")
        shim.clock.advance(60)


def test_lists_that_are_remembered_as_gone_are_shown_with_hubspots_words_and_single_sightings_are_not(
    shim: Shim,
) -> None:
    lose(shim)
    lose(shim, "a2", NOTES)
    shim.gone_lists.sight("a1", CONTACTS, status=404, message="resource not found")

    assert shim.get("/connection").json()["data"]["lists_gone"] == [
        {
            "type": "deals",
            "since": "2026-11-23T15:00:00Z",
            "last_seen_at": "2026-11-23T15:01:00Z",
            "status": 404,
            "message": "resource not found",
        }
    ]


@pytest.mark.parametrize(("hub_id", "are_shown"), [(FACTS.hub_id, True), (None, True), (1, False)])
def test_lists_that_are_gone_in_another_portal_are_not_shown(
    shim: Shim, hub_id: int | None, *, are_shown: bool
) -> None:
    shim.connections.learn("a1", "u1", FACTS, fingerprint=Fingerprint.of(live_token()), at=START)
    for _ in range(2):
        shim.gone_lists.sight("a1", DEALS, status=404, message="resource not found", hub_id=hub_id)
        shim.clock.advance(60)

    assert bool(shim.get("/connection").json()["data"]["lists_gone"]) is are_shown


def test_a_recheck_forgets_what_is_remembered_of_the_account_and_shows_the_connection(shim: Shim) -> None:
    for account_id in ("a1", "a2"):
        lose(shim, account_id)

    for _ in range(2):
        answer = shim.post("/connection/recheck")
        assert (answer.status_code, answer.json()) == (200, shim.get("/connection").json())
        assert answer.json()["data"]["lists_gone"] == []

    assert [each.account_id for each in shim.gone_lists.remembered_first(most=9)] == ["a2"]


def test_a_recheck_without_a_connection_changes_nothing(shim: Shim) -> None:
    lose(shim)
    shim.tokens.clear()

    assert shim.post("/connection/recheck").json()["code"] == "token_not_found"
    assert len(shim.gone_lists.remembered("a1")) == 1


def test_a_disconnected_account_has_no_lists_that_are_gone(shim: Shim) -> None:
    for account_id in ("a1", "a2"):
        lose(shim, account_id)

    assert shim.delete("/connection").status_code == 204

    assert [each.account_id for each in shim.gone_lists.remembered_first(most=9)] == ["a2"]


def test_after_a_removal_that_was_cut_off_the_rest_is_done_with_the_next(shim: Shim) -> None:
    shim.connections.learn("a1", "u1", FACTS, fingerprint=Fingerprint.of(live_token()), at=START)
    shim.connections.is_away = True
    assert shim.delete("/connection").status_code == 503
    shim.connections.is_away = False

    assert shim.delete("/connection").status_code == 404

    assert shim.connections.find("a1", "u1") is None


def test_the_id_of_an_rpc_request_is_taken_for_longer_than_a_link_is_good() -> None:
    assert rpc_requests.LIFE == mongo_rpc_requests.LIFE > connect_state.LIFE + timedelta(minutes=1)
