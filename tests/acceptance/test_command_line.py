"""`hubspot-export` as a person runs it: a process of its own, against the running product."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymongo import MongoClient

from sandbox.configuration import python_environment
from sandbox.stack import Stack
from tests.acceptance.client import BASE_PATH, LIST_KEYS, TYPES, Client, ids_of
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S

COMMAND = (sys.executable, "-m", "api_shim.cli")
SUBJECTS = [
    *("worker settings", "shim settings", "open files"),
    *("mongodb", "mongodb replica set", "mongodb write concern", "clock", "mongodb indexes"),
    *("tokens", "hubspot lists", "token endpoint"),
    *("redis", "redis memory", "redis persistence"),
    *("broker", "workers", "queues", "beat", "shim"),
]


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """Runs the command in a folder of its own, where no `.env` is."""

    client: Client
    folder: Path

    def run(self, *words: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment(**settings),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def environment(self, **settings: str) -> dict[str, str]:
        api = {"HUBSPOT_EXPORT_URL": self.client.stack.shim_url, "HUBSPOT_EXPORT_TOKEN": self.client.token}
        return {**python_environment(), **self.client.stack.settings, **api, **settings}

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return connect(stack, contacts=2130, companies=260, deals=30, engagements=40)


@pytest.fixture
def command(client: Client, tmp_path: Path) -> CommandLine:
    return CommandLine(client=client, folder=tmp_path)


def findings_in(report: str) -> dict[str, tuple[str, str]]:
    """Return verdict and text by subject."""
    lines = [(line[:9].strip(), line[9:33].strip(), line[33:]) for line in report.splitlines()]
    return {subject: (verdict, text) for verdict, subject, text in lines}


def wrong_in(report: str) -> list[str]:
    return [subject for subject, (verdict, _) in findings_in(report).items() if verdict == "wrong"]


@pytest.mark.parametrize("export_type", TYPES)
def test_export_wait_out_brings_every_record_once(command: CommandLine, export_type: str) -> None:
    done = command.run("export", export_type, "--wait", "--out", "records.ndjson", "--label", "by hand")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    records = [json.loads(line) for line in (command.folder / "records.ndjson").read_bytes().splitlines()]
    assert ids_of(export_type, records) == command.client.ids_in_hubspot(export_type)
    assert command.files() == ["records.ndjson"]
    assert "succeeded" in done.stderr


def test_a_job_and_all_its_results_as_hubspot_sent_them(command: CommandLine) -> None:
    started = command.run("export", "companies", "--page-size", "100", "--limit", "250")
    job_id = started.stdout.strip()
    shown = command.run("job", job_id, "--wait", "30")
    assert (shown.returncode, json.loads(shown.stdout)["data"]["status"]) == (0, "succeeded")
    page = json.loads(command.run("results", job_id, "--limit", "3").stdout)
    assert len(page["data"][LIST_KEYS["companies"]]) == page["pagination"]["offset"] == 3
    everything = command.run("results", job_id, "--all")
    assert everything.returncode == 0, everything.stderr
    lines = everything.stdout.splitlines()
    assert len(lines) == 250
    body = command.client.get(f"/jobs/{job_id}/results", [("limit", "250")]).text
    assert ",".join(lines) in body


def test_a_download_is_a_table_in_a_file(command: CommandLine) -> None:
    job_id = command.run("export", "deals").stdout.strip()
    assert command.run("job", job_id, "--wait", "30").returncode == 0
    done = command.run("download", job_id, "--format", "csv", "--bom", "--out", "deals.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    content = (command.folder / "deals.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfdealId,")
    ids = [int(row.split(b",")[0]) for row in content.splitlines()[1:]]
    assert ids == command.client.ids_in_hubspot("deals")
    refused = command.run("download", "none")
    assert (refused.returncode, refused.stderr) == (1, "Error: 404 RESOURCE_NOT_FOUND (job_not_found)\n")


def test_a_failed_export_is_one_line_and_no_file(stack: Stack, tmp_path: Path) -> None:
    client = connect(stack, contacts=10)
    stack.hubspot_control.revoke(client.account.hub_id)
    command = CommandLine(client=client, folder=tmp_path)
    done = command.run("export", "contacts", "--wait", "--out", "records.ndjson")
    assert (done.returncode, done.stdout, command.files()) == (1, "", [])
    assert done.stderr.splitlines()[-1].startswith("Error: The job ")
    assert done.stderr.rstrip().endswith("(reconnect_required)")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"HUBSPOT_EXPORT_TOKEN": "e30.e30.e30"}, r"Error: 401 Unauthorized User \(unauthorized\)\n"),
        ({"HUBSPOT_EXPORT_URL": "http://127.0.0.1:1"}, r"Error: http://127\.0\.0\.1:1: .*refused\n"),
    ],
)
def test_a_refusal_is_one_line(command: CommandLine, settings: dict[str, str], line: str) -> None:
    done = command.run("job", "none", **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(line, done.stderr)


def test_ctrl_c_leaves_no_traceback_and_no_file_and_the_job_goes_on(stack: Stack, tmp_path: Path) -> None:
    client = connect(stack, contacts=500)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.5)
    command = CommandLine(client=client, folder=tmp_path)
    with started(command, "export", "contacts", "--out", "records.ndjson") as process:
        assert process.stderr is not None
        job_id = process.stderr.readline().removeprefix("job ").strip()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(PATIENCE_S) == 130
        assert re.fullmatch(rf"Interrupted; the job goes on: [^\n]*cancel {job_id}[^\n]*\n", rest)
    assert command.files() == []
    assert client.finished(f"/jobs/{job_id}")["status"] == "succeeded"


def test_a_reader_that_has_seen_enough_is_no_error(command: CommandLine) -> None:
    with started(command, "export", "contacts", "--wait") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


@contextmanager
def started(command: CommandLine, *words: str, stdin: int | None = None) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=command.folder,
        env=command.environment(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def with_another_token(client: Client, **fields: object) -> None:
    """Replace the working token by a useless one, as another program might."""
    key = {"account_id": client.account.account_id}
    with MongoClient[dict[str, object]](client.stack.settings["MONGODB_URI"]) as mongo:
        tokens = mongo[client.stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.key"]
        tokens.update_one(key, {"$set": {"refresh_token": "useless", "access_token": "useless", **fields}})


@pytest.fixture
def disconnected(stack: Stack, tmp_path: Path) -> CommandLine:
    client = connect(stack, contacts=5)
    with_another_token(client, expires_in=0, portal_name="kept")
    return CommandLine(client=client, folder=tmp_path)


def by_stdin(command: CommandLine, refresh_token: str) -> str:
    account = command.client.account
    token = json.dumps({"refresh_token": refresh_token, "token_type": "bearer"})
    done = command.run("connect", account.account_id, account.owner, "--stdin", stdin=token)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def by_prompt(command: CommandLine, refresh_token: str) -> str:
    """Type at a terminal, and return everything that it showed."""
    ours, theirs = pty.openpty()
    account = command.client.account
    with started(command, "connect", account.account_id, account.owner, stdin=theirs) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert process.stdout is not None
        shown = read_until(process.stderr.read, ": ")
        os.write(ours, f"{refresh_token}\n".encode())
        shown += read_until(process.stderr.read, "): ")
        os.write(ours, b"\n")
        shown += process.stdout.read() + process.stderr.read()
        shown += left_on(ours)
        assert process.wait(PATIENCE_S) == 0, shown
    os.close(ours)
    return shown


def left_on(terminal: int) -> str:
    """Return what the terminal echoed; reading fails once the other side has hung up."""
    with suppress(OSError):
        return os.read(terminal, 1000).decode()
    return ""


def read_until(read: Callable[[int], str], end: str) -> str:
    text = ""
    while not text.endswith(end):
        character = read(1)
        assert character, text
        text += character
    time.sleep(0.1)  # the prompt is there before the echo is off
    return text


def test_jobs_lists_the_newest_first_one_a_line(command: CommandLine) -> None:
    paths = [command.client.start(export_type, {"limit": 1}) for export_type in ("deals", "notes", "deals")]
    for path in paths:
        command.client.finished(path)
    done = command.run("jobs", "--type=deals", "--status=succeeded", "--limit=2")
    assert (done.returncode, done.stderr) == (0, "")
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [job["links"]["self"] for job in listed] == [f"{BASE_PATH}{path}" for path in (paths[2], paths[0])]
    assert command.client.job(paths[2]) == listed[0]


@pytest.mark.parametrize("way", [by_stdin, by_prompt])
def test_connect_stores_a_token_that_works(disconnected: CommandLine, way: Callable[[CommandLine, str], str]) -> None:
    client = disconnected.client
    refresh_token = f"refresh-{client.account.hub_id}"
    shown = way(disconnected, refresh_token)
    assert "replaced" in shown
    assert refresh_token not in shown
    (document,) = client.documents("key", account_id=client.account.account_id)
    assert (document["portal_name"], document["refresh_token"]) == ("kept", refresh_token)
    assert len(client.get("/export/contacts").json()["data"]["contacts"]) == 5


def test_the_doctor_finds_nothing_wrong(command: CommandLine) -> None:
    done = command.run("doctor")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = findings_in(done.stdout)
    assert list(found) == SUBJECTS
    assert {verdict for verdict, _ in found.values()} == {"ok"}


def test_the_doctor_of_one_process_asks_for_its_settings_only_and_changes_nothing(command: CommandLine) -> None:
    unset = {"HUBSPOT_CLIENT_ID": "", "HUBSPOT_CLIENT_SECRET": "", "HUBSPOT_EXPORT_URL": ""}
    done = command.run("doctor", "--process", "shim", MONGODB_DATABASE="never_used", **unset)
    assert (done.returncode, wrong_in(done.stdout)) == (1, ["mongodb indexes"])
    assert findings_in(done.stdout)["shim"][0] == "skipped"
    with MongoClient[dict[str, object]](command.client.stack.settings["MONGODB_URI"]) as mongo:
        assert "never_used" not in mongo.list_database_names()


def test_the_doctor_names_wrong_settings_and_checks_the_rest(command: CommandLine) -> None:
    done = command.run("doctor", HUBSPOT_CLIENT_ID="", JWT_SECRET="", MONGODB_URI="mangodb://user:pass-word@host")
    found = findings_in(done.stdout)
    assert done.returncode == 1
    assert wrong_in(done.stdout) == ["worker settings", "shim settings"]
    assert "HUBSPOT_CLIENT_ID: is required" in done.stdout
    assert found["mongodb"] == ("skipped", "its settings are wrong")
    assert found["beat"][0] == found["shim"][0] == "ok"
    assert "pass-word" not in done.stdout + done.stderr


def test_the_doctor_finds_servers_that_are_away(command: CommandLine) -> None:
    done = command.run(
        "doctor",
        MONGODB_URI="mongodb://user:pass-word@127.0.0.1:1/?timeoutMS=500",
        CELERY_BROKER_URL="redis://:pass-word@127.0.0.1:1/0",
        REDIS_URL="",
        HUBSPOT_EXPORT_URL="http://127.0.0.1:1",
    )
    assert (done.returncode, wrong_in(done.stdout)) == (1, ["mongodb", "redis", "broker", "shim"])
    assert list(findings_in(done.stdout)) == SUBJECTS
    assert "pass-word" not in done.stdout + done.stderr
