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
_SHORT_RUN_S = 10.0  # a worker that ends sooner is restarted after a pause that grows
_LONGEST_PAUSE_S = 30.0
_WRONG_USAGE = 2  # wrong settings or arguments: a restart would change nothing
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def stop_with_parent(parent: int) -> None:
    """Send SIGTERM to this process once `parent` has died: then another process is its parent."""
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
    restart_at: float | None = None
    is_signalled: bool = False


class WorkerProcesses:
    """Runs `count` processes of `celery -A worker worker` until a signal stops them.

    SIGTERM, SIGINT and SIGQUIT are forwarded each time they arrive: Celery gives a second one a meaning of its own.
    """

    def __init__(self, *, count: int, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._count = count
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._workers: list[_Worker] = []
        # No lock: a signal handler must not wait for one that the code it interrupted may hold.
        self._stops_by: signal.Signals | None = None
        self._is_misused = False

    def run(self) -> int:
        """Run until a signal; return the exit status: 0, or 2 where a worker refused its settings or arguments."""
        previous = {number: signal.signal(number, self._forward) for number in _SIGNALS}
        try:
            for number in range(1, self._count + 1):
                self._begin(number)
            while self._stops_by is None or self.pids():
                self._supervise()
                time.sleep(_LOOK_EVERY_S)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return _WRONG_USAGE if self._is_misused else 0

    def pids(self) -> dict[int, int]:
        """Return the process ids of running workers by their numbers."""
        return {each.number: each.process.pid for each in self._workers if each.process.poll() is None}

    def _begin(self, number: int) -> None:
        if self._stops_by is None:
            self._workers.append(_Worker(number=number, process=self._start(number)))

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", f"worker-{number}@%h"]
        # In a process group of its own: a terminal sends Ctrl-C to the whole group, and Celery would take the forwarded
        # signal as a second one, which means "stop at once".
        return subprocess.Popen([*command, *self._arguments], env=self._environment, process_group=0)

    def _supervise(self) -> None:
        for worker in self._workers:
            if self._stops_by is not None:
                if not worker.is_signalled:  # it was being started when the signal arrived
                    self._send(worker, self._stops_by)
            elif worker.process.poll() is None:
                continue
            elif worker.process.returncode == _WRONG_USAGE:
                self._is_misused = True
                self._stop(signal.SIGTERM)
            elif worker.restart_at is None:
                self._schedule_restart(worker)
            elif time.monotonic() >= worker.restart_at:
                self._restart(worker)

    def _schedule_restart(self, worker: _Worker) -> None:
        ran_s = time.monotonic() - worker.started_at
        worker.pause_s = min(max(1.0, 2 * worker.pause_s), _LONGEST_PAUSE_S) if ran_s < _SHORT_RUN_S else 0.0
        worker.restart_at = time.monotonic() + worker.pause_s
        _log.error(
            "worker_ended", number=worker.number, status=worker.process.returncode, restarted_in_s=worker.pause_s
        )

    def _restart(self, worker: _Worker) -> None:
        worker.process, worker.started_at, worker.restart_at = self._start(worker.number), time.monotonic(), None
        worker.is_signalled = False

    def _forward(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self._stop(signal.Signals(number))

    def _stop(self, number: signal.Signals) -> None:
        self._stops_by = number
        for worker in self._workers:
            self._send(worker, number)

    def _send(self, worker: _Worker, number: signal.Signals) -> None:
        worker.is_signalled = True
        if worker.process.poll() is None:
            worker.process.send_signal(number)
