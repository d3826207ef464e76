"""`connection`, `disconnect` and `export --dry-run`: what they ask of the API, and what they hand over."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass

import httpx
import pytest

from tests.unit.api_shim.cli_server import FakeExportApi, refusal, run

BASE = "/v1/integrations/hubspot"
CONNECTION = {"success": True, "message": "Connection found", "data": {"status": "connected", "hub_id": 62515}}
PLAN = {"success": True, "message": "Nothing was started", "data": {"dry_run": True, "records": 4200}}


@dataclass(kw_only=True)
class ConnectedApi(FakeExportApi):
    """The API with a connection, which also plans."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(BASE)
        if path in {"/connection", "/connection/recheck"} and not self.failures:
            self.asked.append(request)
            return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json=CONNECTION)
        if path.startswith("/export/") and json.loads(request.content).get("dry_run"):
            self.asked.append(request)
            return httpx.Response(200, json=PLAN)
        return super().__call__(request)


def asked(api: FakeExportApi) -> list[tuple[str, str]]:
    return [(each.method, each.url.path.removeprefix(BASE)) for each in api.asked]


def test_a_connection_is_shown_as_the_api_describes_it() -> None:
    api = ConnectedApi()
    result = run(api, "connection")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == CONNECTION
    assert asked(api) == [("GET", "/connection")]


def test_a_recheck_shows_the_connection_that_the_lists_are_asked_of_again() -> None:
    api = ConnectedApi()
    result = run(api, "connection", "--recheck")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == CONNECTION
    assert asked(api) == [("POST", "/connection/recheck")]


def test_disconnect_says_that_the_token_is_gone() -> None:
    api = ConnectedApi()
    result = run(api, "disconnect")
    assert (result.exit_code, result.stdout) == (0, "The account is disconnected: its token is gone\n")
    assert asked(api) == [("DELETE", "/connection")]


def test_an_old_portals_copy_is_removed_by_its_number() -> None:
    api = ConnectedApi()
    result = run(api, "disconnect", "--portal", "62515")
    assert (result.exit_code, result.stdout) == (0, "The copy of HubSpot portal 62515 is removed\n")
    assert asked(api) == [("DELETE", "/connection/portals/62515")]


@pytest.mark.parametrize("words", [["connection"], ["connection", "--recheck"], ["disconnect"]])
def test_where_nothing_is_connected_one_line_says_so(words: list[str]) -> None:
    failure = refusal(404, "Api Token Not Found", code="token_not_found")
    result = run(ConnectedApi(failures=deque([failure])), *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: 404 Api Token Not Found (token_not_found)\n"


def test_a_dry_run_starts_nothing_and_shows_the_plan() -> None:
    api = ConnectedApi()
    result = run(api, "export", "deals", "--dry-run", "--limit", "5", "--param", "a=1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == PLAN
    assert asked(api) == [("POST", "/export/deals")]
    assert json.loads(api.asked[0].content) == {"limit": 5, "params": {"a": "1"}, "dry_run": True}


@pytest.mark.parametrize("words", [["--wait"], ["--out", "records.ndjson"]])
def test_a_dry_run_has_no_records_to_wait_for(words: list[str]) -> None:
    api = ConnectedApi()
    result = run(api, "export", "deals", "--dry-run", *words)
    assert result.exit_code == 2
    assert "--dry-run takes neither --wait nor --out" in result.stderr
    assert api.asked == []
