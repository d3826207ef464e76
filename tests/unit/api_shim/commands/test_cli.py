"""The command line as a whole: what it imports, how it finds the API, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from api_shim.cli import main
from api_shim.commands.api import BASE_PATH
from tests.unit.api_shim.cli_server import JOB_ID, JWT, URL, FakeExportApi, refusal, run
from worker.jobs.view import BASE_PATH as SHIMS_BASE_PATH

ROOT = Path(__file__).resolve().parents[4]
HEAVY = ("celery", "pymongo", "redis", "fastapi", "requests")


def test_every_command_is_listed_with_what_it_does() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    commands = (
        "cancel",
        "connect",
        "delete",
        "doctor",
        "download",
        "export",
        "job",
        "results",
        "retry",
        "schedule",
        "sync",
    )
    for name in (*commands, "token-endpoint", "webhook-secret"):
        assert f"\n  {name} " in result.output


@pytest.mark.parametrize("name", ["token"])
def test_what_the_api_cannot_do_yet_is_no_command(name: str) -> None:
    assert CliRunner().invoke(main, [name]).exit_code == 2


def test_an_export_loads_no_driver_and_no_server() -> None:
    code = f"""
import sys
from api_shim.cli import main
main(["export", "--help"], standalone_mode=False)
sys.exit(" ".join(set({HEAVY!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_it_asks_where_the_shim_answers() -> None:
    assert BASE_PATH == SHIMS_BASE_PATH


@pytest.mark.parametrize("words", [["job", JOB_ID, "--url", f"{URL}/"], ["job", JOB_ID]])
def test_the_api_is_found_by_option_or_variable(words: list[str]) -> None:
    api = FakeExportApi()
    result = run(api, *words, environment={"HUBSPOT_EXPORT_URL": URL, "HUBSPOT_EXPORT_TOKEN": f" {JWT}\n"})
    assert result.exit_code == 0, result.stderr
    assert str(api.asked[0].url) == f"{URL}{BASE_PATH}/jobs/{JOB_ID}"
    assert api.asked[0].headers["authorization"] == f"Bearer {JWT}"


@pytest.mark.parametrize(
    "url",
    ["shim.test", "ftp://shim.test", "http://", "http://user:word@shim.test", "http://shim.test/?a=1", "http://[x"],
)
def test_a_wrong_url_is_wrong_usage(url: str) -> None:
    result = run(FakeExportApi(), "job", JOB_ID, "--url", url)
    assert result.exit_code == 2
    assert "must be a URL" in result.stderr
    assert "word" not in result.stderr


def test_the_jwt_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text(f"{JWT}\n")
    api = FakeExportApi()
    result = run(api, "job", JOB_ID, "--token-file", str(tmp_path / "jwt"), environment={"HUBSPOT_EXPORT_TOKEN": "no"})
    assert result.exit_code == 0, result.stderr
    assert api.asked[0].headers["authorization"] == f"Bearer {JWT}"


def test_the_jwt_is_asked_for_unseen() -> None:
    api = FakeExportApi()
    result = run(api, "job", JOB_ID, typed=f"{JWT}\n", environment={"HUBSPOT_EXPORT_TOKEN": ""})
    assert result.exit_code == 0, result.stderr
    assert api.asked[0].headers["authorization"] == f"Bearer {JWT}"
    assert JWT not in result.output


def test_without_a_jwt_and_a_terminal_it_says_where_to_put_one() -> None:
    result = run(FakeExportApi(), "job", JOB_ID, environment={"HUBSPOT_EXPORT_TOKEN": ""})
    assert result.exit_code == 2
    assert "HUBSPOT_EXPORT_TOKEN" in result.stderr


@pytest.mark.parametrize("word", ["--token", "--jwt"])
def test_the_jwt_is_no_argument(word: str) -> None:
    result = run(FakeExportApi(), "job", JOB_ID, word, JWT)
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_what_cannot_be_a_jwt_is_not_sent_and_not_shown() -> None:
    api = FakeExportApi()
    result = run(api, "job", JOB_ID, environment={"HUBSPOT_EXPORT_TOKEN": "secret\r\nX-Other: 1"})
    assert (result.exit_code, api.asked) == (2, [])
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), f"Error: {URL}: [Errno 111] Connection refused\n"),
        (httpx.ReadTimeout(""), f"Error: {URL}: ReadTimeout\n"),
        (refusal(401, "Unauthorized User", code="unauthorized"), "Error: 401 Unauthorized User (unauthorized)\n"),
        (
            refusal(400, "data not found", code="unsupported_type", details="use\ncontacts"),
            "Error: 400 data not found (unsupported_type): use contacts\n",
        ),
        (httpx.Response(502, text="<html>\nBad Gateway"), "Error: 502 Bad Gateway\n"),
        (httpx.Response(302, headers={"Location": "/login"}), "Error: 302 Found\n"),
        (httpx.Response(200, text="<html>"), "Error: The answer is not one of this API: is the URL right?\n"),
    ],
)
def test_a_failure_is_one_line(failure: httpx.Response | httpx.HTTPError, line: str) -> None:
    api = FakeExportApi()
    api.failures.extend([failure] * 10)
    result = run(api, "export", "contacts")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    api = FakeExportApi()
    api.failures.append(KeyboardInterrupt())
    result = run(api, "export", "contacts", "--wait")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "Interrupted\n")


@pytest.mark.parametrize(
    "words", [["export", "contacts", "--wait"], ["job", JOB_ID, "--wait", "60"], ["retry", JOB_ID, "--wait", "60"]]
)
def test_ctrl_c_while_a_job_goes_on_says_what_can_be_done_about_it(words: list[str]) -> None:
    api = InterruptedExportApi(states=["running"])
    result = run(api, *words)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines()[-1] == (
        f"Interrupted; the job goes on: end it with `hubspot-export cancel {JOB_ID}`, "
        f"or read it with `hubspot-export results {JOB_ID} --all`"
    )


class InterruptedExportApi(FakeExportApi):
    """Ctrl-C comes at the first long poll."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if "prefer" in request.headers:
            raise KeyboardInterrupt
        return super().__call__(request)
