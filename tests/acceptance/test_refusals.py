"""Each row of the table of errors, over HTTP, with nothing queued."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import requests

from sandbox.seeding import Account, mint_jwt
from sandbox.stack import Stack
from tests.acceptance.client import BASE_PATH, Client
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S

UNAUTHORIZED = {"success": False, "errno": 400, "message": "Unauthorized User", "code": "unauthorized"}
NOT_FOUND = {"success": False, "errno": 404, "message": "RESOURCE_NOT_FOUND"}
KNOWN = "companies, contacts, deals, notes"
ALL_KNOWN = (
    "calls, communications, companies, contacts, deals, emails, leads, line_items, meetings, notes, owners, products, "
    "quotes, tasks, tickets and custom objects"
)


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return connect(stack, contacts=20)


def as_someone_else(client: Client, **claims: object) -> requests.Response:
    hour = datetime.now(UTC) + timedelta(hours=1)
    whole = {"account_id": client.account.account_id, "uid": client.account.owner, "scope": "contacts", "exp": hour}
    left = {name: value for name, value in {**whole, **claims}.items() if value is not None}
    token = jwt.encode(left, client.stack.settings["JWT_SECRET"], algorithm="HS256")
    return client.get("/export/contacts", Authorization=f"Bearer {token}")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x.y.z", "Basic dXNlcjpwYXNz", "Bearer eyJhbGciOiJub25lIn0.e30."]
)
def test_without_a_jwt_of_ours_nobody_gets_in(client: Client, header: str) -> None:
    answer = client.get("/export/contacts", Authorization=header)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("claims", [{"account_id": None}, {"exp": None}, {"exp": 1}, {"uid": None}])
def test_a_jwt_that_lacks_a_claim_or_has_ended_is_refused(client: Client, claims: dict[str, object]) -> None:
    answer = as_someone_else(client, **claims)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_a_scope_is_needed_and_either_will_do(client: Client) -> None:
    refused = as_someone_else(client, scope="deals other")
    assert (refused.status_code, refused.json()) == (
        403,
        {"success": False, "errno": 403, "message": "Forbidden", "code": "insufficient_scope"},
    )
    assert as_someone_else(client, scope=["contacts.external"]).status_code == 200


def test_an_account_without_a_token_is_told_so(stack: Stack) -> None:
    nobody = Account(account_id="nobody", owner="nobody", hub_id=1)
    token = mint_jwt(stack, nobody, life=timedelta(hours=1))
    client = Client(stack=stack, account=nobody, token=token, session=requests.Session())
    expected = {"success": False, "errno": 400, "message": "Api Token Not Found", "code": "token_not_found"}
    for answer in (client.get("/export/contacts"), client.post("/export/contacts")):
        assert (answer.status_code, answer.json()) == (404, expected)
    assert client.documents("jobs", account_id="nobody") == []


def test_an_unknown_type_is_named_with_the_known_ones(client: Client, further_settings: dict[str, str]) -> None:
    unknown, known = ("bicycles", ALL_KNOWN) if further_settings else ("tickets", KNOWN)
    for answer in (client.get(f"/export/{unknown}"), client.post(f"/export/{unknown}")):
        assert answer.status_code == 400
        assert answer.json() == {
            "success": False,
            "errno": 400,
            "message": "data not found on object of type",
            "code": "unsupported_type",
            "details": f"Given type is not supported. supported types are {known}",
        }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1_0", "limit"),
        ("limit=5&limit=6", "limit"),
        ("offset=-1", "offset"),
        ("offset=abc", "offset"),
        ("offset=99999999999999999999", "offset"),
    ],
)
def test_a_wrong_query_is_refused_by_field(client: Client, query: str, field: str) -> None:
    before = len(client.documents("jobs", account_id=client.account.account_id))
    answer = client.get(f"/export/contacts?{query}")
    assert (answer.status_code, answer.json()["errno"], answer.json()["code"]) == (400, 400, "invalid_request")
    assert answer.json()["message"].startswith(f"{field}: ")
    assert len(client.documents("jobs", account_id=client.account.account_id)) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"page_size": 101}, "page_size"),
        ({"page_size": 0}, "page_size"),
        ({"offset": -5}, "offset"),
        ({"params": {"vidOffset": "1"}}, "params"),
        ({"params": {"property": 7}}, "params"),
        ({"params": ["a"]}, "params"),
        ({"label": 5}, "label"),
        ({"lable": "typo"}, "lable"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_a_wrong_body_is_refused_by_field(client: Client, body: object, field: str) -> None:
    before = len(client.documents("jobs", account_id=client.account.account_id))
    answer = client.post("/export/contacts", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["message"].startswith(field)
    assert len(client.documents("jobs", account_id=client.account.account_id)) == before


def test_a_wrong_preference_is_refused_by_name(client: Client) -> None:
    answer = client.get("/export/contacts", Prefer="wait=soon")
    assert (answer.status_code, answer.json()["message"][:6]) == (400, "Prefer")


def test_texts_that_nobody_types_are_stored_and_shown_or_refused(client: Client) -> None:
    text = "\x00 $a.b ü \U0001f600"
    started = client.post("/export/contacts", {"label": text, "params": {text: text}, "limit": 1})
    assert started.json()["data"]["label"] == text
    assert client.job(started.headers["Location"].removeprefix(BASE_PATH))["request"]["params"] == {text: text}
    assert client.post("/export/contacts", {"label": "\ud83d"}).status_code == 400
    for path in ("/jobs/%00", "/jobs/%ED%A0%BD", "/jobs/%24ne/results"):
        assert client.get(path).status_code == 404
    for query in ("cursor=%00", "status=%00", "type=%ED%A0%BD", "limit=%00"):
        assert client.get(f"/jobs?{query}").status_code == 400
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        cursor = urlsafe_b64encode(f'["{at}","x"]'.encode()).decode()
        assert client.get(f"/jobs?cursor={cursor}").status_code == 400


def test_what_is_too_large_is_refused_in_the_documented_body(client: Client) -> None:
    for answer, status in (
        (client.get(f"/jobs?x={'x' * 40_000}"), 414),
        (client.get("/jobs", X="x" * 40_000), 431),
        (client.post("/export/contacts", {"label": "x" * 70_000}), 400),
        (client.post("/connect/confirm", {"ticket": "x" * 70_000}), 400),
    ):
        body = answer.json()
        assert (answer.status_code, body["errno"], body["code"]) == (status, status, "invalid_request")
        assert body["message"].split(":")[0] in {"target", "headers", "body"}


def test_results_know_their_bounds(client: Client) -> None:
    path = client.start("contacts")
    client.finished(path)
    for query in ("limit=0", "limit=1001", "offset=x"):
        assert client.get(f"{path}/results?{query}").status_code == 400
    assert client.get(f"{path}/results?offset=1000000").json()["pagination"]["hasMore"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", f"{BASE_PATH}/nothing"),
        ("GET", f"{BASE_PATH}/export/contacts/"),
        ("PUT", f"{BASE_PATH}/export/contacts"),
        ("DELETE", "/healthz"),
        ("GET", "/v2/integrations/hubspot/export/contacts"),
    ],
)
def test_everything_else_is_not_found(stack: Stack, method: str, path: str) -> None:
    answer = requests.request(method, f"{stack.shim_url}{path}", timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_health_needs_no_jwt(stack: Stack) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert requests.get(f"{stack.shim_url}{path}", timeout=PATIENCE_S).status_code == 200
