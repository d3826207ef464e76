"""`download`, and how every command brings a job's records over: all of them, once, whatever breaks on the way."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from tests.unit.api_shim.cli_server import JOB_ID, FakeExportApi, refusal, run

CONTACTS = [b'{"vid":%d,"text":"line\\nbreak"}' % number for number in range(50)]
WHOLE = b"".join(record + b"\n" for record in CONTACTS)
COMMANDS = [["download", JOB_ID], ["results", JOB_ID, "--all"], ["export", "contacts", "--wait"]]


@pytest.fixture
def api() -> FakeExportApi:
    return FakeExportApi(records=CONTACTS, states=["succeeded"])


@pytest.mark.parametrize("words", COMMANDS)
def test_records_are_handed_over_as_they_come(api: FakeExportApi, words: list[str]) -> None:
    result = run(api, *words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes == WHOLE


def test_download_asks_for_ndjson_and_takes_it_compressed(api: FakeExportApi) -> None:
    run(api, "download", JOB_ID)
    (asked,) = api.asked
    assert dict(asked.url.params) == {"format": "ndjson"}
    assert "gzip" in asked.headers["accept-encoding"]


@pytest.mark.parametrize(
    ("words", "query"),
    [(["--format=csv"], {"format": "csv"}), (["--format=csv", "--bom"], {"format": "csv", "bom": "true"})],
)
def test_download_passes_on_which_format(api: FakeExportApi, words: list[str], query: dict[str, str]) -> None:
    assert run(api, "download", JOB_ID, *words).exit_code == 0
    assert dict(api.asked[0].url.params) == query


@pytest.mark.parametrize("words", [["--format=xlsx"], ["--bom"], ["--bom", "--format=ndjson"]])
def test_wrong_usage_asks_nothing(api: FakeExportApi, words: list[str]) -> None:
    assert run(api, "download", JOB_ID, *words).exit_code == 2
    assert api.asked == []


def test_a_job_that_still_runs_is_refused_in_one_line_and_leaves_no_file(api: FakeExportApi, tmp_path: Path) -> None:
    api.failures.append(
        refusal(409, "The job is running: its contacts can be downloaded when it has ended", code="conflict")
    )
    result = run(api, "download", JOB_ID, "--out", str(tmp_path / "records"))
    expected = "Error: 409 The job is running: its contacts can be downloaded when it has ended (conflict)\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("breaks", [[0], [1], [150], [150, 0, 700, 700], [len(WHOLE)]])
@pytest.mark.parametrize("words", COMMANDS)
def test_what_breaks_off_goes_on_where_it_was(api: FakeExportApi, words: list[str], breaks: list[int]) -> None:
    api.breaks = deque(breaks)
    result = run(api, *words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes == WHOLE
    assert api.paused == [1, 2, 4, 8][: len(breaks)]


@pytest.mark.parametrize("words", COMMANDS)
def test_what_keeps_breaking_off_never_looks_whole(api: FakeExportApi, words: list[str], tmp_path: Path) -> None:
    api.breaks = deque([300] * 6)
    result = run(api, *words, "--out", str(tmp_path / "records"))
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert result.stderr.splitlines()[-1] == "Error: http://shim.test: incomplete chunked read"


def test_two_states_of_a_job_are_never_put_together(api: FakeExportApi, tmp_path: Path) -> None:
    api.breaks, api.tags = deque([300]), ['W/"one"', 'W/"two"']
    result = run(api, "download", JOB_ID, "--out", str(tmp_path / "records"))
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert result.stderr == "Error: The job has changed while it was downloaded: download it again\n"
