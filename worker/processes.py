"""WorkerProcesses: several Celery workers under one command, restarted when they end, their metrics on one port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

_log = structlog.get_logger()

_LOOK_EVERY_S = 0.25
_LOOK_FOR_PARENT_EVERY_S = 1.0
_SHORT_LIFE_S = 10.0  # a worker that ends sooner is restarted after a pause that grows
_LONGEST_PAUSE_S = 30.0
_WRONG_USAGE = 2  # wrong settings or arguments: a restart would change nothing
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def end_with(parent: int) -> None:
    """Send SIGTERM to this process as soon as `parent` is not its parent any more."""
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT_EVERY_S)
    _log.warning("parent_ended", parent=parent)
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(slots=True, kw_only=True)
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    pause_s: float = 0.0
    start_again_at: float | None = None
    is_told: bool = False  # to stop


class WorkerProcesses:
    """Runs `count` processes of `celery -A worker worker` until a signal stops them.

    SIGTERM, SIGINT and SIGQUIT are passed on, each as often as it comes: what a worker makes of them is Celery's.
    """

    def __init__(self, *, count: int, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._count = count
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._workers: list[_Worker] = []
        # Plain values: a signal's handler must not wait for a lock that the code it interrupted may hold.
        self._stops_by: signal.Signals | None = None
        self._is_misused = False

    def run(self) -> int:
        """Return the exit status: 0 after a signal, 2 where a worker refused its settings or arguments."""
        previous = {number: signal.signal(number, self._pass_on) for number in _SIGNALS}
        try:
            for number in range(1, self._count + 1):
                self._begin(number)
            while self._stops_by is None or self.pids():
                self._look_after()
                time.sleep(_LOOK_EVERY_S)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return _WRONG_USAGE if self._is_misused else 0

    def pids(self) -> dict[int, int]:
        """Return the process id of each worker that runs, by the worker's number."""
        return {each.number: each.process.pid for each in self._workers if each.process.poll() is None}

    def _begin(self, number: int) -> None:
        if self._stops_by is None:
            self._workers.append(_Worker(number=number, process=self._start(number)))

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", f"worker-{number}@%h"]
        # In a group of its own: a terminal sends Ctrl-C to a whole group, and Celery takes a second one for "at once".
        return subprocess.Popen([*command, *self._arguments], env=self._environment, process_group=0)

    def _look_after(self) -> None:
        for worker in self._workers:
            if self._stops_by is not None:
                if not worker.is_told:  # it was being started when the signal came
                    self._tell(worker, self._stops_by)
            elif worker.process.poll() is None:
                continue
            elif worker.process.returncode == _WRONG_USAGE:
                self._is_misused = True
                self._stop(signal.SIGTERM)
            elif worker.start_again_at is None:
                self._note_end(worker)
            elif time.monotonic() >= worker.start_again_at:
                self._start_again(worker)

    def _note_end(self, worker: _Worker) -> None:
        lived_s = time.monotonic() - worker.started_at
        worker.pause_s = min(max(1.0, 2 * worker.pause_s), _LONGEST_PAUSE_S) if lived_s < _SHORT_LIFE_S else 0.0
        worker.start_again_at = time.monotonic() + worker.pause_s
        _log.error(
            "worker_ended", number=worker.number, status=worker.process.returncode, restarted_in_s=worker.pause_s
        )

    def _start_again(self, worker: _Worker) -> None:
        worker.process, worker.started_at, worker.start_again_at = self._start(worker.number), time.monotonic(), None
        worker.is_told = False

    def _pass_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self._stop(signal.Signals(number))

    def _stop(self, number: signal.Signals) -> None:
        self._stops_by = number
        for worker in self._workers:
            self._tell(worker, number)

    def _tell(self, worker: _Worker, number: signal.Signals) -> None:
        worker.is_told = True
        if worker.process.poll() is None:
            worker.process.send_signal(number)
