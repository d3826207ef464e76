"""Child processes: readiness, death, stopping, and the death of the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.commands.interruptions import Interruptions, StopRequestedError
from sandbox.processes import Command, Process, ProcessFailedError, stop_all
from tests.patience import HELD_UP_S, PATIENCE_S

SLEEPS = "import time; print('awake', flush=True); time.sleep(60)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
HAS_A_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); {SLEEPS}"
REPOSITORY = Path(__file__).resolve().parents[3]

MakeProcess = Callable[[str], Process]


def _is_awake(process: Process) -> bool:
    return process.has_written("awake")


@pytest.fixture
def make_process(tmp_path: Path) -> Iterator[MakeProcess]:
    made: list[Process] = []

    def make(program: str) -> Process:
        command = Command(arguments=[sys.executable, "-c", program], environment=dict(os.environ), folder=tmp_path)
        log = tmp_path / f"{len(made)}.log"
        made.append(Process(name="child", command=command, log=log, ready=_is_awake))
        return made[-1]

    yield make
    for process in made:
        process.kill()


def test_a_child_runs_in_a_session_of_its_own_so_ctrl_c_in_the_terminal_does_not_reach_it(
    make_process: MakeProcess,
) -> None:
    process = make_process(SLEEPS).start().wait_ready()

    assert os.getsid(process.pid) == process.pid


def test_waiting_notices_a_death_at_once_and_shows_the_last_words(make_process: MakeProcess) -> None:
    process = make_process("raise SystemExit('the disk is full')").start()

    with pytest.raises(ProcessFailedError, match="child ended with status 1") as caught:
        process.wait_ready(timeout_s=60)

    assert caught.value.log_tail == "the disk is full"


def test_waiting_ends_when_the_time_is_over(make_process: MakeProcess) -> None:
    process = make_process("import time; time.sleep(60)").start()

    with pytest.raises(ProcessFailedError, match=r"not ready within 0\.2 s"):
        process.wait_ready(timeout_s=0.2)


def test_a_program_that_does_not_exist_is_told_by_name(make_process: MakeProcess, tmp_path: Path) -> None:
    command = Command(arguments=[str(tmp_path / "nothing")], environment=dict(os.environ), folder=tmp_path)
    process = Process(name="child", command=command, log=tmp_path / "log", ready=_is_awake).start()

    with pytest.raises(ProcessFailedError, match="status 127") as caught:
        process.wait_ready()

    assert caught.value.log_tail == f"{tmp_path / 'nothing'}: No such file or directory"


def test_a_death_later_on_is_told_with_its_signal(make_process: MakeProcess) -> None:
    process = make_process(SLEEPS).start().wait_ready()

    process.send(signal.SIGKILL)
    while process.is_alive:
        time.sleep(0.01)

    with pytest.raises(ProcessFailedError, match="child was ended by SIGKILL"):
        process.check()


def test_a_child_that_was_killed_on_purpose_has_not_failed(make_process: MakeProcess) -> None:
    process = make_process(SLEEPS).start().wait_ready()

    process.kill()

    process.check()
    assert not process.is_alive


def test_a_restarted_child_is_ready_only_when_it_says_so_again(make_process: MakeProcess) -> None:
    process = make_process(SLEEPS).start().wait_ready()
    process.kill()

    process.start()

    assert not process.has_written("awake")
    process.wait_ready()


def test_stopping_a_child_that_ignores_sigterm_takes_the_grace_and_no_more(make_process: MakeProcess) -> None:
    process = make_process(IGNORES_SIGTERM).start().wait_ready()
    began_at = time.monotonic()

    process.stop(grace_s=0.3)

    assert 0.3 <= time.monotonic() - began_at < 0.3 + HELD_UP_S
    assert not process.is_alive


def test_stopping_several_children_takes_the_time_of_one(make_process: MakeProcess) -> None:
    processes = [make_process(IGNORES_SIGTERM).start() for _ in range(4)]
    for process in processes:
        process.wait_ready()
    began_at = time.monotonic()

    stop_all(processes, grace_s=1)

    assert time.monotonic() - began_at < len(processes)


def test_stopping_takes_the_childs_own_children_along(make_process: MakeProcess) -> None:
    process = make_process(HAS_A_CHILD).start().wait_ready()
    grandchildren = psutil.Process(process.pid).children()

    process.stop()

    assert len(grandchildren) == 1
    assert psutil.wait_procs(grandchildren, timeout=PATIENCE_S)[1] == []


def test_ctrl_c_does_not_cut_the_stopping_short(make_process: MakeProcess) -> None:
    process = make_process(IGNORES_SIGTERM).start().wait_ready()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    process.stop(grace_s=0.4)

    assert not process.is_alive
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_ends_the_waiting_for_a_child(make_process: MakeProcess) -> None:
    process = make_process("import time; time.sleep(60)").start()

    with Interruptions() as interruptions:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(StopRequestedError):
            process.wait_ready(pause=interruptions.pause)

    assert interruptions.exit_status == 143


def test_children_are_started_from_the_main_thread_only(make_process: MakeProcess) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            make_process(SLEEPS).start()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "main thread" in str(errors[0])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is dead")
def test_a_child_does_not_survive_kill_9_of_its_parent(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from sandbox.processes import Command, Process
command = Command(arguments=[sys.executable, "-c", {SLEEPS!r}], environment=dict(os.environ), folder=Path("."))
print(Process(name="child", command=command, log=Path("log")).start().pid, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    assert psutil.wait_procs([child], timeout=PATIENCE_S)[1] == []
