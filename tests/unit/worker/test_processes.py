"""WorkerProcesses when a signal arrives at an awkward moment; acceptance tests use real workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from worker.processes import WorkerProcesses


class InterruptedStart(subprocess.Popen[bytes]):
    """A process that waits, and whose start is interrupted by SIGTERM before its caller knows of it."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__([sys.executable, "-c", "import time; time.sleep(600)"])
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_worker_that_is_being_started_when_the_signal_comes_is_stopped_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subprocess, "Popen", InterruptedStart)

    assert WorkerProcesses(count=2, arguments=[], environment={}).run() == 0
