"""`python -m worker`: several workers under one command, on real servers."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import requests

from sandbox.configuration import python_environment
from sandbox.servers.mongo import MongoServer
from sandbox.servers.ports import HOST, ReservedPort
from tests.patience import PATIENCE_S, until

_READY = re.compile(r"(worker-\d)@\S+ ready\.")


class Workers:
    """The command as a process, with its log."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.log = folder / "workers.log"
        with self.log.open("wb") as log:
            self.command = subprocess.Popen(
                [sys.executable, "-m", "worker", "--concurrency=2", "--without-gossip", "--without-mingle"],
                cwd=folder,
                env={**python_environment(), **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.process = psutil.Process(self.command.pid)
        self.started: set[psutil.Process] = set()

    def ready(self) -> list[str]:
        """Return the names of workers that have logged that they are ready, once for each time."""
        return sorted(_READY.findall(self.log.read_text()))

    def children(self) -> dict[str, psutil.Process]:
        """Return the workers that run, by name."""
        found = {}
        for child in self.process.children():
            words = child.cmdline()
            if "-n" in words:
                found[words[words.index("-n") + 1].partition("@")[0]] = child
        self.started |= set(found.values())
        return found

    def end(self) -> None:
        for process in (self.process, *self.started):
            if process.is_running():
                process.kill()
        self.command.wait(timeout=PATIENCE_S)


@pytest.fixture
def metrics_port() -> int:
    return ReservedPort().number


@pytest.fixture
def workers(tmp_path: Path, mongo_server: MongoServer, redis_url: str, metrics_port: int) -> Iterator[Workers]:
    """Start two workers, and wait until both take tasks."""
    settings = {
        "MONGODB_URI": mongo_server.uri,
        "CELERY_BROKER_URL": redis_url,
        "HUBSPOT_CLIENT_ID": "id",
        "HUBSPOT_CLIENT_SECRET": "secret",
        "WORKER_PROCESSES": "2",
        "METRICS_PORT": str(metrics_port),
    }
    workers = Workers(tmp_path, settings)
    try:
        until(workers.ready, lambda names: names == ["worker-1", "worker-2"])
        until(workers.children, lambda found: len(found) == 2)
        yield workers
    finally:
        workers.end()


@pytest.fixture
def beat(tmp_path: Path, redis_url: str) -> Iterator[None]:
    """Enqueue a sweep every two seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "worker", "beat"],
        cwd=tmp_path,
        env={**python_environment(), "CELERY_BROKER_URL": redis_url},
        stderr=subprocess.DEVNULL,
    )
    yield
    process.kill()
    process.wait(timeout=PATIENCE_S)


def shown(port: int) -> str:
    return requests.get(f"http://{HOST}:{port}/metrics", timeout=PATIENCE_S).text


def sweeps(port: int) -> float:
    found = re.search(r'^hubspot_export_sweeps_total\{outcome="done"\} (\S+)$', shown(port), re.MULTILINE)
    return float(found[1]) if found is not None else 0.0


@pytest.mark.usefixtures("beat")
def test_killed_workers_are_started_again_with_their_counts_until_all_are_told_to_stop(
    workers: Workers, metrics_port: int
) -> None:
    for number in ("1", "2"):
        assert f'process_resident_memory_bytes{{process="{number}"}}' in shown(metrics_port)
    until(lambda: sweeps(metrics_port), lambda count: count >= 2)
    before = workers.children()

    for worker in before.values():
        worker.kill()
    counted = sweeps(metrics_port)

    assert counted >= 2
    until(workers.ready, lambda names: names == ["worker-1", "worker-1", "worker-2", "worker-2"])
    assert workers.children().keys() == before.keys()
    assert not set(workers.children().values()) & set(before.values())
    until(lambda: sweeps(metrics_port), lambda count: count > counted)
    require_an_end(workers, signal.SIGTERM)


def test_ctrl_c_stops_all_of_them(workers: Workers) -> None:
    require_an_end(workers, signal.SIGINT)


def require_an_end(workers: Workers, number: signal.Signals) -> None:
    workers.command.send_signal(number)
    assert workers.command.wait(timeout=PATIENCE_S) == 0
    assert not any(each.is_running() for each in workers.started)


def test_none_outlives_the_command_that_started_it(workers: Workers) -> None:
    workers.command.kill()

    until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers.started))


def test_none_outlives_it_while_the_broker_is_away(tmp_path: Path) -> None:
    settings = {
        "CELERY_BROKER_URL": f"redis://{HOST}:{ReservedPort().number}/0",
        "HUBSPOT_CLIENT_ID": "id",
        "HUBSPOT_CLIENT_SECRET": "secret",
        "WORKER_PROCESSES": "2",
    }
    workers = Workers(tmp_path, settings)
    try:
        until(workers.children, lambda found: len(found) == 2)
        until(lambda: workers.log.read_text().count("Trying again in") >= 2)

        workers.command.kill()

        until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers.started))
    finally:
        workers.end()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "settings: HUBSPOT_CLIENT_ID: is required"),
        ({"WORKER_PROCESSES": "0"}, "WORKER_PROCESSES: must be auto, or a number from 1 to 256"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path: Path, settings: Mapping[str, str], complaint: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=tmp_path,
        env={**python_environment(), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert run.returncode == 2
    assert complaint in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_wrong_arguments_end_the_command(tmp_path: Path, mongo_server: MongoServer, redis_url: str) -> None:
    settings = {"MONGODB_URI": mongo_server.uri, "CELERY_BROKER_URL": redis_url, "HUBSPOT_CLIENT_ID": "id"}

    run = subprocess.run(
        [sys.executable, "-m", "worker", "--no-such-option"],
        cwd=tmp_path,
        env={**python_environment(), **settings, "HUBSPOT_CLIENT_SECRET": "secret", "WORKER_PROCESSES": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert run.returncode == 2
    assert "No such option" in run.stderr
