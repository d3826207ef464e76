"""`export`, `job` and `results`: what they ask of the API, and what they hand over."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.unit.api_shim.cli_server import JOB_ID, FakeExportApi, refusal, run

CONTACTS = [b'{"vid":%d, "price":1.50,"caf\\u00e9":"\xc3\xa9"}' % number for number in range(25)]
FAILURE = {"code": "reconnect_required", "message": "refresh token is\nnot valid"}


def test_export_prints_the_id_of_the_job_and_ends() -> None:
    api = FakeExportApi()
    result = run(api, "export", "contacts")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{JOB_ID}\n", "")
    assert [(each.method, each.url.path) for each in api.asked] == [
        ("POST", "/v1/integrations/hubspot/export/contacts")
    ]
    assert json.loads(api.asked[0].content) == {}


def test_export_passes_on_what_was_asked_for() -> None:
    api = FakeExportApi()
    words = [
        "--limit=5",
        "--page-size=2",
        "--offset=0",
        "--label=nightly",
        "--webhook=https://hooks.example/x",
        "--param=a=1=2",
        "--param=b=",
        "--param=b=x",
    ]
    assert run(api, "export", "deals", *words).exit_code == 0
    assert json.loads(api.asked[0].content) == {
        "limit": 5,
        "page_size": 2,
        "offset": 0,
        "label": "nightly",
        "webhook": {"url": "https://hooks.example/x"},
        "params": {"a": "1=2", "b": ["", "x"]},
    }


def test_export_passes_on_which_parts_of_records_are_wanted() -> None:
    api = FakeExportApi()
    words = ["--property=email", "--property=a b", "--association=companies", "--association=2-5", "--history=email"]
    assert run(api, "export", "p_cars", *words, "--archived").exit_code == 0
    assert api.asked[0].url.path.endswith("/export/p_cars")
    assert json.loads(api.asked[0].content) == {
        "properties": ["email", "a b"],
        "associations": ["companies", "2-5"],
        "history": ["email"],
        "archived": True,
    }


def test_all_properties_are_asked_for_beside_those_named() -> None:
    api = FakeExportApi()
    assert run(api, "export", "tickets", "--all-properties", "--property=ssn").exit_code == 0
    assert json.loads(api.asked[0].content) == {"properties": ["*", "ssn"]}


@pytest.mark.parametrize(
    "words",
    [
        ["tick/ets"],
        ["..", "--limit=1"],
        [],
        ["contacts", "--limit=0"],
        ["contacts", "--page-size=x"],
        ["contacts", "--offset=-1"],
        ["contacts", "--param=name"],
        ["contacts", "--param==value"],
    ],
)
def test_wrong_usage_asks_nothing(words: list[str]) -> None:
    api = FakeExportApi()
    assert run(api, "export", *words).exit_code == 2
    assert api.asked == []


def test_export_wait_hands_the_records_over_as_they_came() -> None:
    api = FakeExportApi(records=CONTACTS)
    result = run(api, "export", "contacts", "--wait")
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes == b"".join(record + b"\n" for record in CONTACTS)
    assert result.stderr.splitlines() == [
        f"job {JOB_ID}",
        "contacts running: 25 records in 1 page, 8 a second",
        "contacts succeeded: 25 records in 1 page, 8 a second",
        "25 contacts written to stdout",
    ]


def test_waiting_is_long_polling() -> None:
    api = FakeExportApi()
    run(api, "export", "contacts", "--wait")
    looks = [each for each in api.asked if each.url.path.endswith(JOB_ID)]
    assert [each.headers["prefer"] for each in looks] == ["wait=10", "wait=10"]
    assert api.paused == []


def test_where_a_proxy_drops_the_wish_to_wait_it_does_not_ask_in_a_rush() -> None:
    api = FakeExportApi(keeps_preferences=False)
    assert run(api, "export", "contacts", "--wait").exit_code == 0
    assert api.paused == [1.0, 1.0]


def test_out_implies_wait_and_leaves_stdout_alone(tmp_path: Path) -> None:
    path = tmp_path / "contacts.ndjson"
    result = run(FakeExportApi(records=CONTACTS), "export", "contacts", "--out", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert path.read_bytes().splitlines() == CONTACTS
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "contacts.ndjson"
    path.write_bytes(b"old")
    api = FakeExportApi(records=CONTACTS)
    result = run(api, "export", "contacts", "--out", str(path))
    assert result.exit_code == 2
    assert f"{path} exists: name another file, or replace it with --force" in result.stderr
    assert (path.read_bytes(), api.asked) == (b"old", [])


@pytest.mark.parametrize("words", [("--force", "--out"), ("--out",)])
def test_a_file_is_replaced_where_that_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / "contacts.ndjson"
    path.write_bytes(b"old")
    result = run(FakeExportApi(records=CONTACTS), "export", "contacts", *words, str(path), typed="y\n")
    assert result.exit_code == 0
    assert path.read_bytes().splitlines() == CONTACTS
    assert ("Replace it?" in result.stderr) == ("--force" not in words)


def test_who_says_no_keeps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "contacts.ndjson"
    path.write_bytes(b"old")
    assert run(FakeExportApi(records=CONTACTS), "export", "contacts", "--out", str(path), typed="n\n").exit_code == 2
    assert path.read_bytes() == b"old"


def test_a_failed_job_is_one_line_and_no_file(tmp_path: Path) -> None:
    api = FakeExportApi(records=CONTACTS, states=["queued", "failed"], error=FAILURE)
    result = run(api, "export", "contacts", "--out", str(tmp_path / "contacts.ndjson"))
    assert result.exit_code == 1
    expected = f"Error: The job {JOB_ID} has failed: refresh token is not valid (reconnect_required)"
    assert result.stderr.splitlines()[-1] == expected
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_job_is_no_success() -> None:
    result = run(FakeExportApi(states=["running", "cancelled"]), "job", JOB_ID, "--wait", "5")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"Error: The job {JOB_ID} is cancelled"


def test_a_restart_of_the_shim_does_not_end_the_wait() -> None:
    api = FakeExportApi(records=CONTACTS)
    api.failures.extend([httpx.Response(202, json=api.job()), httpx.ConnectError("no"), refusal(503, "away")])
    result = run(api, "export", "contacts", "--wait")
    assert result.exit_code == 0, result.stderr
    assert api.paused == [1, 2]
    assert result.stdout_bytes.splitlines() == CONTACTS


def test_a_shim_that_stays_away_ends_it() -> None:
    api = FakeExportApi()
    api.failures.extend([httpx.Response(202, json=api.job()), *[httpx.ConnectError("no")] * 6])
    result = run(api, "export", "contacts", "--wait")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "Error: http://shim.test: no")


@pytest.mark.parametrize(
    "failure",
    [httpx.ReadTimeout("no answer"), httpx.RemoteProtocolError("cut off"), httpx.Response(502, text="<html>")],
)
def test_an_export_whose_answer_is_lost_is_asked_for_again_under_the_same_key(
    failure: httpx.Response | httpx.HTTPError,
) -> None:
    api = FakeExportApi()
    api.failures.extend([failure, httpx.ConnectError("no"), refusal(503, "away")])
    result = run(api, "export", "contacts", "--limit=5")
    assert (result.exit_code, result.stdout) == (0, f"{JOB_ID}\n")
    assert len({(each.headers["idempotency-key"], each.content) for each in api.asked}) == 1
    assert (len(api.asked), api.paused) == (4, [1, 2])


def test_two_exports_have_two_keys() -> None:
    api = FakeExportApi()
    for _ in range(2):
        run(api, "export", "contacts")
    assert len({each.headers["idempotency-key"] for each in api.asked}) == 2


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("no"),
        httpx.ConnectTimeout("no"),
        refusal(503, "The database is not available", code="unavailable"),
        refusal(404, "Api Token Not Found", code="token_not_found"),
    ],
)
def test_an_export_that_was_not_started_is_not_asked_for_again(failure: httpx.Response | httpx.HTTPError) -> None:
    api = FakeExportApi()
    api.failures.append(failure)
    assert run(api, "export", "contacts").exit_code == 1
    assert len(api.asked) == 1


def test_job_shows_what_the_api_answers() -> None:
    api = FakeExportApi(states=["running"])
    result = run(api, "job", JOB_ID)
    assert (result.exit_code, json.loads(result.stdout)) == (0, api.job())
    assert "prefer" not in api.asked[0].headers


def test_job_wait_ends_with_the_job() -> None:
    result = run(FakeExportApi(), "job", JOB_ID, "--wait", "60")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["data"]["status"] == "succeeded"


def test_job_wait_is_no_success_when_the_time_is_over() -> None:
    result = run(FakeExportApi(states=["running"]), "job", JOB_ID, "--wait", "0")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["data"]["status"] == "running"
    assert result.stderr.splitlines()[-1] == f"Error: The job {JOB_ID} is running"


def test_an_id_cannot_lead_elsewhere() -> None:
    api = FakeExportApi()
    result = run(api, "job", "../export/contacts?limit=1")
    assert result.stderr == "Error: 404 RESOURCE_NOT_FOUND (job_not_found)\n"
    assert api.asked[0].url.raw_path.startswith(b"/v1/integrations/hubspot/jobs/..%2F")


def test_results_give_the_documented_body() -> None:
    api = FakeExportApi(records=CONTACTS)
    result = run(api, "results", JOB_ID, "--limit", "2", "--offset", "3")
    body = json.loads(result.stdout)
    assert [record["vid"] for record in body["data"]["contacts"]] == [3, 4]
    assert body["pagination"] == {"hasMore": True, "offset": 5}
    assert dict(api.asked[0].url.params) == {"limit": "2", "offset": "3"}


def test_all_results_of_a_failed_job_are_shown_but_no_success() -> None:
    api = FakeExportApi(records=CONTACTS, states=["failed"], error=FAILURE)
    result = run(api, "results", JOB_ID, "--all")
    assert result.exit_code == 1
    assert result.stdout_bytes.splitlines() == CONTACTS


@pytest.mark.parametrize("words", [["--all", "--limit=5"], ["--all", "--offset=5"], ["--limit=0"], ["--limit=1001"]])
def test_results_know_their_bounds(words: list[str]) -> None:
    api = FakeExportApi()
    assert run(api, "results", JOB_ID, *words).exit_code == 2
    assert api.asked == []
