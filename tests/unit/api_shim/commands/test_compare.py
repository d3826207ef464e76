"""`compare`: both APIs are read, and what differs is shown field by field."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from api_shim.commands.differences import ABSENT, compare, differences
from tests.unit.api_shim.cli_server import JOB_ID, FakeExportApi, run

LEGACY = [
    {"vid": 1, "addedAt": 5, "tags": [], "properties": {"email": {"value": "a", "versions": [{"v": 1}]}}},
    {"vid": 3},
]
DATED = [{"vid": 1, "addedAt": 6, "tags": [], "properties": {"email": {"value": "a"}}}, {"vid": 2}, {"vid": 3}]


class BothApis(FakeExportApi):
    """Gives the records of whichever API the last export was asked of."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            found = {"legacy": LEGACY, "dated": DATED}[json.loads(request.content)["api"]]
            self.records = [json.dumps(each).encode() for each in found]
            self.states = ["queued", "succeeded"]
        return super().__call__(request)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": "1"}, [("a", 1, "1")]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({}, {"a": {"b": 1}}, [("a", ABSENT, {"b": 1})]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a.c", 2, 3)]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", [1, 2], [2, 1])]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, [("a[].b", 1, 2)]),
        ({"a": [{"b": 1}]}, {"a": []}, [("a", [{"b": 1}], [])]),
    ],
)
def test_fields_are_compared_one_by_one(one: object, other: object, found: list[tuple[str, Any, Any]]) -> None:
    assert [(each.path, each.one, each.other) for each in differences(one, other)] == found


def test_what_lies_behind_the_end_of_a_part_tells_nothing() -> None:
    records = [(number, {"a": number}) for number in range(6)]

    assert compare(records[:3], records, are_whole=False).is_equal
    assert compare(records[:3], records).only_other == [3, 4, 5]
    assert compare(records, records[:3]).only_one == [3, 4, 5]
    assert compare([], records[:1]).only_other == [0]


def test_a_list_out_of_order_is_not_compared() -> None:
    with pytest.raises(ValueError, match="record 1 came after record 2"):
        compare([(1, {}), (2, {}), (1, {})], [(1, {}), (2, {}), (3, {})])


def test_each_field_that_differs_is_a_line_and_the_jobs_are_gone_afterwards() -> None:
    api = BothApis()

    result = run(api, "compare", "contacts", "--limit=0", "--property=email")

    assert result.exit_code == 1
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["2", "contacts", "in", "both", "APIs,", "1", "of", "them", "equal"],
        ["1", "only", "in", "the", "dated", "API:", "2"],
        [],
        ["field", "records", "e.g.", "legacy", "dated"],
        ["addedAt", "1", "1", "5", "6"],
        ["properties.email.versions", "1", "1", '[{"v":', "1}]", "-"],
    ]
    bodies = [json.loads(each.content) for each in api.asked if each.method == "POST"]
    assert bodies == [{"properties": ["email"], "api": "legacy"}, {"properties": ["email"], "api": "dated"}]
    deleted = [each.url.path.rpartition("/")[2] for each in api.asked if each.method == "DELETE"]
    assert deleted == [JOB_ID, JOB_ID]


def test_a_part_of_the_records_is_compared_unless_all_are_asked_for() -> None:
    api = BothApis()

    run(api, "compare", "contacts", "--json")

    assert [json.loads(each.content)["limit"] for each in api.asked if each.method == "POST"] == [1000, 1000]


def test_the_differences_can_be_had_as_json() -> None:
    result = run(BothApis(), "compare", "contacts", "--limit=0", "--json")

    assert json.loads(result.stdout) == {
        "both": 2,
        "equal": 1,
        "only_legacy": [],
        "only_dated": [2],
        "fields": [
            {"field": "addedAt", "records": 1, "example_id": 1, "legacy": 5, "dated": 6},
            {"field": "properties.email.versions", "records": 1, "example_id": 1, "legacy": [{"v": 1}]},
        ],
    }


def test_equal_records_are_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.DATED", LEGACY)

    result = run(BothApis(), "compare", "contacts")

    assert (result.exit_code, result.stdout) == (0, "2 contacts in both APIs, 2 of them equal\n")


def test_an_export_that_fails_is_said_and_compared_with_nothing() -> None:
    api = FakeExportApi(states=["failed"], error={"code": "hubspot_error", "message": "Gone"})

    result = run(api, "compare", "contacts")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: The job {JOB_ID} has failed: Gone (hubspot_error)"
