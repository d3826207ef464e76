"""What is refused, with which status and body, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH, Shim, mint, problem

NOT_FOUND = b'{"success":false,"errno":404,"message":"RESOURCE_NOT_FOUND"}'


def invalid(message: str) -> tuple[int, dict[str, object]]:
    return 400, {"success": False, "errno": 400, "message": message, "code": "invalid_request"}


@pytest.fixture(scope="module")
def shim() -> Iterator[Shim]:
    """Yield one shim for all tests here: they leave nothing that another would notice."""
    with serving(new_parts()) as shim:
        yield shim


@pytest.mark.parametrize("export_type", ["tickets", "Contacts", "contact", "engagements", "%20", "%00", "contacts%0a"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_type_is_answered_with_the_known_ones(shim: Shim, method: str, export_type: str) -> None:
    answer = shim.ask(method, f"{BASE_PATH}/export/{export_type}")

    assert answer.status_code == 400
    assert answer.content == (
        b'{"success":false,"errno":400,"message":"data not found on object of type","code":"unsupported_type",'
        b'"details":"Given type is not supported. supported types are companies, contacts, deals, notes"}'
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_account_without_a_token_is_told_so_and_nothing_is_stored(shim: Shim, method: str) -> None:
    answer = shim.ask(method, f"{BASE_PATH}/export/contacts", authorization=f"Bearer {mint({'uid': 'someone else'})}")

    expected = {"success": False, "errno": 400, "message": "Api Token Not Found", "code": "token_not_found"}
    assert problem(answer) == (404, expected)
    assert shim.jobs.all == []


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("path", ["/export/contacts", "/jobs/x/results"])
def test_a_number_that_is_none_is_refused_by_name(shim: Shim, path: str, name: str) -> None:
    for value in ("-1", "ten", "1.5", "1e3", "0x10", "1_0", "+5", " 5", "%D9%A3", "null", "1" * 20):
        answer = shim.get(f"{path}?{name}={value}")

        assert problem(answer) == invalid(f"{name}: must be a whole number, 0 or more"), value
        assert shim.jobs.all == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("/export/contacts?limit=0", "limit: input should be greater than or equal to 1"),
        ("/export/contacts?limit=9223372036854775808", "limit: input should be less than or equal to"),
        ("/export/contacts?offset=9223372036854775808", "offset: input should be less than or equal to"),
        ("/export/contacts?limit=1&limit=1", "limit: is given more than once"),
        ("/export/contacts?offset=1&offset=2", "offset: is given more than once"),
        ("/export/contacts?limit=x&offset=y", "limit: must be a whole number, 0 or more; offset: must be"),
        ("/jobs/x/results?limit=0", "limit: input should be greater than or equal to 1"),
        ("/jobs/x/results?limit=1001", "limit: input should be less than or equal to 1000"),
    ],
)
def test_a_number_out_of_bounds_is_refused_by_name(shim: Shim, query: str, message: str) -> None:
    status, body = problem(shim.get(query))

    assert (status, body["errno"], body["code"]) == (400, 400, "invalid_request")
    assert body["message"].startswith(message)


def test_a_query_may_hold_so_many_parameters_for_hubspot_and_no_more(shim: Shim) -> None:
    many = "&".join(["limit=1", *["a=b"] * 501])

    answer = shim.get(f"/export/deals?{many}")

    assert problem(answer) == invalid("query: must hold at most 500 parameters for HubSpot")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"limit": 0}, "limit: input should be greater than or equal to 1"),
        ({"limit": -1}, "limit: input should be greater than or equal to 1"),
        ({"limit": 2**63}, "limit: input should be less than or equal to 9223372036854775807"),
        ({"limit": 1.0}, "limit: input should be a valid integer"),
        ({"limit": True}, "limit: input should be a valid integer"),
        ({"limit": "many"}, "limit: must be a whole number, 0 or more"),
        ({"limit": [1]}, "limit: input should be a valid integer"),
        ({"page_size": 0}, "page_size: input should be greater than or equal to 1"),
        ({"page_size": 101}, "page_size: must be at most 100 for contacts"),
        ({"offset": -5}, "offset: input should be greater than or equal to 0"),
        ({"offset": "there"}, "offset: must be a whole number, 0 or more"),
        ({"params": ["a"]}, "params: input should be an object"),
        ({"params": {"property": 7}}, "params.property: must be text or a list of texts"),
        ({"params": {"property": None}}, "params.property: must be text or a list of texts"),
        ({"params": {"property": ["a", 7]}}, "params.property.1: input should be a valid string"),
        ({"params": {"query": {}}}, "params.query: must be text or a list of texts"),
        ({"params": {"vidOffset": "1"}}, "params: 'vidOffset' is set by limit, page_size and offset, not here"),
        ({"params": {"COUNT": "1"}}, "params: 'COUNT' is set by limit, page_size and offset, not here"),
        ({"params": {"": "1"}}, "params: a parameter must have a name"),
        ({"params": {"a": ["b"] * 501}}, "params: must hold at most 500 values"),
        ({"params": {"a": "b" * 10_001}}, "params.a.0: string should have at most 10000 characters"),
        ({"label": 5}, "label: input should be a valid string"),
        ({"label": "x" * 201}, "label: string should have at most 200 characters"),
        ({"lable": "typo"}, "lable: is not a known field"),
        ({"query": "typo"}, "query: is not a known field"),
        ({"x" * 30_000: 1}, f"{'x' * 100}: is not a known field"),
        ({"limit": 0, "label": 5}, "limit: input should be greater than or equal to 1; label: input should be"),
        ([], "body: input should be an object"),
        ("text", "body: input should be an object"),
        (5, "body: input should be an object"),
    ],
)
def test_a_wrong_body_is_refused_by_field(shim: Shim, body: object, message: str) -> None:
    status, answer = problem(shim.post("/export/contacts", body))

    assert (status, answer["errno"], answer["code"]) == (400, 400, "invalid_request")
    assert answer["message"].startswith(message)
    assert shim.jobs.all == []


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[" * 30_000, b'{"label": "\\ud83d"}', b"limit=5", b'{"limit": NaN}']
)
def test_a_body_that_is_not_json_is_refused(shim: Shim, content: bytes) -> None:
    status, answer = problem(shim.ask("POST", f"{BASE_PATH}/export/contacts", content=content))

    assert (status, answer["code"]) == (400, "invalid_request")
    assert answer["message"].startswith("body: invalid JSON") or answer["message"].startswith("limit: ")


def test_many_mistakes_make_a_short_answer(shim: Shim) -> None:
    answer = shim.post("/export/contacts", {f"field {number}": 1 for number in range(3_000)})

    assert answer.status_code == 400
    assert answer.json()["message"].count("is not a known field") == 10


@pytest.mark.parametrize("wait", ["soon", "-1", "1.5", "", "9999999999", "٣"])
@pytest.mark.parametrize("path", ["/export/contacts", "/jobs/x"])
def test_a_wait_that_is_no_number_is_refused(shim: Shim, path: str, wait: str) -> None:
    answer = shim.get(path, prefer=f"wait={wait}")

    assert problem(answer) == invalid("Prefer: wait must be a whole number of seconds")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", BASE_PATH),
        ("GET", f"{BASE_PATH}/"),
        ("GET", f"{BASE_PATH}/nothing"),
        ("GET", f"{BASE_PATH}/export"),
        ("GET", f"{BASE_PATH}/export/"),
        ("GET", f"{BASE_PATH}/export/contacts/"),
        ("GET", f"{BASE_PATH}/export/contacts%2F"),
        ("GET", f"{BASE_PATH}//export/contacts"),
        ("GET", f"{BASE_PATH}/jobs/x/"),
        ("GET", f"{BASE_PATH}/jobs/x/results/"),
        ("GET", f"{BASE_PATH}/jobs/x/nothing"),
        ("GET", "/v1/integrations/HubSpot/export/contacts"),
        ("GET", "/v2/integrations/hubspot/export/contacts"),
        ("GET", "/export/contacts"),
        ("GET", "/healthz/"),
        ("GET", "/redoc"),
        ("GET", "/docs/oauth2-redirect"),
        ("PUT", f"{BASE_PATH}/export/contacts"),
        ("PATCH", f"{BASE_PATH}/export/contacts"),
        ("DELETE", f"{BASE_PATH}/export/contacts"),
        ("OPTIONS", f"{BASE_PATH}/export/contacts"),
        ("TRACE", f"{BASE_PATH}/export/contacts"),
        ("POST", f"{BASE_PATH}/jobs/x"),
        ("POST", f"{BASE_PATH}/jobs/x/results"),
        ("DELETE", f"{BASE_PATH}/jobs/x/results"),
        ("DELETE", f"{BASE_PATH}/jobs/"),
        ("GET", f"{BASE_PATH}/jobs/x/cancel"),
        ("GET", f"{BASE_PATH}/jobs/x/retry"),
        ("DELETE", f"{BASE_PATH}/jobs/x/retry"),
        ("POST", f"{BASE_PATH}/jobs/x/cancel/"),
        ("POST", f"{BASE_PATH}/jobs/x/delete"),
        ("PUT", f"{BASE_PATH}/jobs/x"),
        ("POST", "/healthz"),
        ("DELETE", "/healthz"),
    ],
)
def test_everything_else_is_not_found_with_a_jwt_or_without(shim: Shim, method: str, path: str) -> None:
    for authorization in (None, ""):
        answer = shim.ask(method, path, authorization=authorization)

        assert (answer.status_code, answer.content) == (404, NOT_FOUND)
        assert answer.headers["content-type"] == "application/json"
        assert "allow" not in answer.headers
