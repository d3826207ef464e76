"""`records`: the current copy a line a record, and what has changed since the last time."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from click.testing import Result

from tests.unit.api_shim.cli_server import FakeExportApi, run


def ids(result: Result) -> list[int]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def limits(api: FakeExportApi) -> list[str]:
    return [each.url.params["limit"] for each in api.asked]


@pytest.mark.parametrize(
    ("words", "shown", "asked"),
    [
        ([], 10, ["10"]),
        (["--limit=3"], 3, ["3"]),
        (["--limit=1500"], 1500, ["1000", "500"]),
        (["--limit=9000"], 2300, ["1000"] * 3),
        (["--all"], 2300, ["1000"] * 3),
    ],
)
def test_as_many_records_as_were_asked_for_come_one_a_line(words: list[str], shown: int, asked: list[str]) -> None:
    api = FakeExportApi(listed=2300)
    assert ids(run(api, "records", "contacts", *words)) == list(range(shown))
    assert limits(api) == asked


def test_what_is_wanted_is_asked_of_the_api() -> None:
    api = FakeExportApi(listed=1001)
    run(api, "records", "contacts", "--changed-since=2026-11-23T15:00:00Z", "--deleted=only", "--all")
    wanted = {"changed_since": "2026-11-23T15:00:00Z", "deleted": "only", "limit": "1000"}
    assert [dict(each.url.params) for each in api.asked] == [wanted, wanted | {"cursor": "1000"}]


def test_a_place_is_kept_from_which_the_next_time_goes_on(tmp_path: Path) -> None:
    place = tmp_path / "place"
    api = FakeExportApi(listed=1200)
    words = ("records", "contacts", "--deleted=true", f"--place-file={place}")
    assert ids(run(api, *words)) == list(range(1200))
    assert ids(run(api, *words)) == []
    api.listed = 1203
    assert ids(run(api, *words)) == [1200, 1201, 1202]
    assert place.read_text(encoding="ascii") == "1203\n"


def test_of_an_empty_copy_no_place_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "place"
    assert ids(run(FakeExportApi(), "records", "contacts", f"--place-file={place}")) == []
    assert not place.exists()


def test_the_place_stays_when_reading_fails(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("5\n", encoding="ascii")
    api = FakeExportApi(listed=2000)
    api.failures.extend([httpx.Response(404, json={"message": "gone", "code": "record_not_found"})])
    result = run(api, "records", "contacts", f"--place-file={place}")
    assert (result.exit_code, place.read_text(encoding="ascii")) == (1, "5\n")


def test_records_go_to_a_file_that_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "contacts.ndjson"
    result = run(FakeExportApi(listed=3), "records", "contacts", "--all", f"--out={out}")
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "status", "words_said"),
    [
        (["--limit=1", "--all"], 2, "--limit goes neither with --all"),
        (["--limit=0"], 2, "0 is not in the range"),
        (["--deleted=yes"], 2, "'yes' is not one of"),
        (["--place-file=/"], 2, "is a directory"),
        (["--place-file=/dev/null/x"], 1, "Not a directory"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], status: int, words_said: str) -> None:
    result = run(FakeExportApi(listed=3), "records", "contacts", *words)
    assert result.exit_code == status
    assert words_said in result.stderr
