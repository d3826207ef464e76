"""`python -m sandbox`: its exit status, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE_S

REPOSITORY = Path(__file__).resolve().parents[2]


def _start(command: str, folder: Path) -> subprocess.Popen[str]:
    """Start a command whose state folder lies in `folder`, which may hold a hostile `.env`."""
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", command],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _working_in(folder: Path) -> list[psutil.Process]:
    """List the processes whose working directory is below the folder: those of the stack."""
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if (process.info["cwd"] or "").startswith(f"{folder}{os.sep}")
    ]


def _wait_for(condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_the_demo_exports_everything_whatever_the_users_settings_are(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("JWT_PUBLIC_KEY=nonsense\nMONGODB_URI=mongodb://127.0.0.1:1\nHUBSPOT_API=nonsense\n")

    with _start("demo", tmp_path) as demo:
        output, _ = demo.communicate(timeout=PATIENCE_S)

    assert demo.returncode == 0, output
    assert "All 18,000 records that HubSpot holds were exported and read back." in output
    assert _working_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize("children", [1, 6])
def test_ctrl_c_while_starting_or_running_leaves_nothing(tmp_path: Path, children: int) -> None:
    with _start("up", tmp_path) as up:
        _wait_for(lambda: len(_working_in(tmp_path)) >= children)

        for _ in range(3):  # people press it more than once
            up.send_signal(signal.SIGINT)
            time.sleep(0.05)
        output, _ = up.communicate(timeout=PATIENCE_S)

    assert up.returncode == 130
    assert "Traceback" not in output
    assert _working_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is dead")
def test_kill_9_leaves_no_process(tmp_path: Path) -> None:
    with _start("up", tmp_path) as up:
        _wait_for(lambda: len(_working_in(tmp_path)) >= 6)
        children = _working_in(tmp_path)

        up.kill()
        up.communicate(timeout=PATIENCE_S)

    assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []


def test_a_process_that_dies_is_named_and_ends_the_rest(tmp_path: Path) -> None:
    with _start("up", tmp_path) as up:
        _wait_for(lambda: len(_working_in(tmp_path)) >= 6)
        (redis,) = (process for process in _working_in(tmp_path) if "redis" in process.cwd())

        redis.kill()
        output, _ = up.communicate(timeout=PATIENCE_S)

    assert up.returncode == 1
    assert "redis was ended by SIGKILL. The last lines of its log:" in output
    assert _working_in(tmp_path) == []


def test_a_server_that_was_named_wrongly_is_one_line_and_status_2(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sandbox", "demo"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "MONGOD": "/nowhere/mongod"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 2
    assert answer.stderr == "MONGOD=/nowhere/mongod: there is no program of that name\n"
