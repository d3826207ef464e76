"""`types`, `properties`, `pipelines` and `owners`: what they ask of the API, and what they print."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_shim.commands.api import BASE_PATH
from tests.unit.api_shim.cli_server import FakeExportApi, refusal, run

EMAIL = {"name": "email", "label": "E-mail ü", "options": [{"value": "a\nb"}]}
PHONE = {"name": "phone", "label": "Phone"}


@dataclass(kw_only=True)
class DefiningApi(FakeExportApi):
    """The API with definitions, which are the same whatever they are asked of."""

    data: Any = field(default_factory=lambda: [EMAIL, PHONE])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            return super().__call__(request)
        self.asked.append(request)
        return httpx.Response(200, content=json.dumps({"success": True, "data": self.data}, indent=1).encode())


def asked(api: FakeExportApi) -> list[str]:
    return [each.url.raw_path.decode().removeprefix(BASE_PATH) for each in api.asked]


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["properties", "contacts"], "/properties/contacts"),
        (["properties", "0-5"], "/properties/0-5"),
        (["properties", "a/b?c"], "/properties/a%2Fb%3Fc"),
        (["pipelines", "p_cars"], "/pipelines/p_cars"),
        (["owners"], "/owners"),
    ],
)
def test_definitions_are_printed_one_a_line(command: list[str], path: str) -> None:
    api = DefiningApi()

    result = run(api, *command)

    assert (result.exit_code, result.stderr) == (0, "")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [EMAIL, PHONE]
    assert asked(api) == [path]


def test_names_alone_can_be_had() -> None:
    assert run(DefiningApi(), "properties", "contacts", "--names").stdout == "email\nphone\n"


def test_types_are_printed_and_why_some_are_missing_is_told_apart() -> None:
    data = {"types": [PHONE], "custom_objects": {"listed": False, "reason": "no scope"}}
    result = run(DefiningApi(data=data), "types")

    assert result.exit_code == 0
    assert [json.loads(line) for line in result.stdout.splitlines()] == [PHONE]
    assert result.stderr == "HubSpot does not list the account's custom objects: no scope\n"


def test_with_all_types_there_is_nothing_to_tell() -> None:
    result = run(DefiningApi(data={"types": [], "custom_objects": {"listed": True, "reason": None}}), "types")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_they_can_go_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "owners.ndjson"

    assert run(DefiningApi(), "owners", "--out", str(out)).exit_code == 0

    assert len(out.read_bytes().splitlines()) == 2


def test_a_refusal_is_one_line() -> None:
    api = DefiningApi(failures=deque([refusal(400, "data not found on object of type", code="unsupported_type")]))
    result = run(api, "properties", "unicorns")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: 400 data not found on object of type (unsupported_type)\n"


@pytest.mark.parametrize("data", [7, None, {"types": []}])
def test_what_is_no_answer_of_this_api_is_told(data: object) -> None:
    for command in (["owners"], ["types"]):
        result = run(DefiningApi(data=data), *command)
        assert (result.exit_code, "is the URL right?" in result.stderr) == (1, True)
