"""`jobs`: a table for a person, lines for a program, and no more asked of the API than is shown."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.unit.api_shim.cli_server import JWT, URL, FakeExportApi, run

TERMINAL = {"HUBSPOT_EXPORT_URL": URL, "HUBSPOT_EXPORT_TOKEN": JWT, "TTY_COMPATIBLE": "1", "TERM": "dumb"}


def asked(api: FakeExportApi) -> list[list[tuple[str, str]]]:
    return [each.url.params.multi_items() for each in api.asked]


@pytest.mark.parametrize(
    ("words", "shown", "limits"),
    [
        ([], 10, ["10"]),
        (["--limit=3"], 3, ["3"]),
        (["--limit=100"], 100, ["100"]),
        (["--limit=150"], 150, ["100", "100"]),
        (["--limit=500"], 230, ["100", "100", "100"]),
        (["--all"], 230, ["100", "100", "100"]),
    ],
)
def test_as_many_jobs_as_were_asked_for_are_listed_one_a_line(words: list[str], shown: int, limits: list[str]) -> None:
    api = FakeExportApi(listed=230)

    result = run(api, "jobs", *words)

    assert result.exit_code == 0, result.stderr
    jobs = [json.loads(line) for line in result.stdout.splitlines()]
    assert [job["job_id"] for job in jobs] == [f"job-{number}" for number in range(shown)]
    assert jobs[0]["progress"]["pages"] == 1
    assert [dict(query)["limit"] for query in asked(api)] == limits


def test_what_is_wanted_is_asked_of_the_api() -> None:
    api = FakeExportApi(listed=150)

    run(api, "jobs", "--status=failed", "--status", "cancelled", "--type=deals", "--all")

    wanted = [("status", "failed"), ("status", "cancelled"), ("type", "deals"), ("limit", "100")]
    assert asked(api) == [wanted, [*wanted, ("cursor", "100")]]


def test_a_person_sees_a_table() -> None:
    result = run(FakeExportApi(listed=2), "jobs", environment=TERMINAL)

    assert result.exit_code == 0, result.stderr
    header, first, second = (line.split() for line in result.stdout.splitlines())
    assert header == ["job", "type", "status", "records", "created", "(UTC)", "label"]
    assert first == ["job-0", "contacts", "succeeded", "0", "2026-11-23", "15:00", "[bold]"]
    assert second[0] == "job-1"


def test_no_jobs_are_no_lines() -> None:
    result = run(FakeExportApi(), "jobs")

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("words", [["--limit=0"], ["--status=done"], ["--all", "--limit=5"], ["--limit=x"]])
def test_wrong_usage_asks_nothing(words: list[str]) -> None:
    api = FakeExportApi()

    assert run(api, "jobs", *words).exit_code == 2
    assert api.asked == []


def test_a_shim_that_restarts_meanwhile_does_not_end_the_list() -> None:
    api = FakeExportApi(listed=1)
    api.failures.append(httpx.ConnectError("no"))

    result = run(api, "jobs")

    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


def test_an_answer_of_something_else_is_one_line() -> None:
    api = FakeExportApi()
    api.failures.append(httpx.Response(200, json={"data": {}}))

    result = run(api, "jobs")

    assert (result.exit_code, result.stderr) == (1, "Error: The answer is not one of this API: is the URL right?\n")
