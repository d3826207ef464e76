"""`schedule`: what it asks of the API, and what it hands over."""

from __future__ import annotations

import json
from dataclasses import dataclass

import httpx
import pytest

from tests.unit.api_shim.cli_server import FakeExportApi, Json, refusal, run

PATH = "/v1/integrations/hubspot/schedule"
SCHEDULE = {"success": True, "message": "Schedule found", "data": {"cron": "0 3 * * *", "next_run_at": "…"}}


@dataclass(kw_only=True)
class ScheduleApi(FakeExportApi):
    """One schedule, or none."""

    is_there: bool = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.failures:
            failure = self.failures.popleft()
            if isinstance(failure, BaseException):
                raise failure
            return failure
        if not self.is_there and request.method != "PUT":
            return refusal(404, "RESOURCE_NOT_FOUND", code="schedule_not_found")
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json=SCHEDULE)


def asked(api: ScheduleApi) -> list[tuple[str, str]]:
    return [(each.method, each.url.path) for each in api.asked]


def put_by(*words: str) -> Json:
    api = ScheduleApi()
    result = run(api, "schedule", "set", *words)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == SCHEDULE
    assert asked(api) == [("PUT", PATH)]
    body: Json = json.loads(api.asked[0].content)
    return body


def test_show_hands_the_schedule_over_as_the_api_describes_it() -> None:
    api = ScheduleApi()
    result = run(api, "schedule", "show")
    assert (result.exit_code, json.loads(result.stdout), asked(api)) == (0, SCHEDULE, [("GET", PATH)])


def test_set_passes_on_the_properties_of_types() -> None:
    assert put_by("0 3 * * *", "--types", "*", "--property", "tickets=*") == {
        "cron": "0 3 * * *",
        "timezone": "UTC",
        "types": ["*"],
        "properties": {"tickets": ["*"]},
        "enabled": True,
    }


def test_set_stores_a_schedule_and_shows_it() -> None:
    assert put_by("0 3 * * *", "--timezone", "Europe/Berlin", "--types", "contacts,deals") == {
        "cron": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "types": ["contacts", "deals"],
        "enabled": True,
    }


def test_set_says_no_more_than_it_was_told() -> None:
    assert put_by("0 3 * * *") == {"cron": "0 3 * * *", "timezone": "UTC", "enabled": True}
    assert put_by(
        "0 3 * * *", "--overlap", "queue", "--mode", "incremental", "--off", "--webhook", "https://example.com"
    ) == {
        "cron": "0 3 * * *",
        "timezone": "UTC",
        "overlap": "queue",
        "mode": "incremental",
        "webhook": {"url": "https://example.com"},
        "enabled": False,
    }


def test_set_is_asked_again_when_the_answer_is_lost() -> None:
    api = ScheduleApi()
    api.failures.append(httpx.ReadTimeout("slow"))
    result = run(api, "schedule", "set", "0 3 * * *")
    assert (result.exit_code, asked(api)) == (0, [("PUT", PATH)] * 2)


def test_remove_says_nothing_when_it_is_done() -> None:
    api = ScheduleApi()
    result = run(api, "schedule", "remove")
    assert (result.exit_code, result.output, asked(api)) == (0, "", [("DELETE", PATH)])


@pytest.mark.parametrize("act", ["show", "remove"])
def test_where_there_is_no_schedule_that_is_said(act: str) -> None:
    result = run(ScheduleApi(is_there=False), "schedule", act)
    assert (result.exit_code, result.stderr) == (1, "Error: 404 RESOURCE_NOT_FOUND (schedule_not_found)\n")


@pytest.mark.parametrize("words", [["set"], ["set", "0 3 * * *", "--overlap", "allow"], ["stop"]])
def test_wrong_usage_is_told_before_anything_is_asked(words: list[str]) -> None:
    api = ScheduleApi()
    assert run(api, "schedule", *words).exit_code == 2
    assert api.asked == []
