"""What a process costs: wall time, processor time, and the most memory it had."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_EVERY_S = 0.02
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class ProgramFailedError(Exception):
    """A program ended with another status than 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one run. `peak_mb` is in 10^6 bytes."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def cost_of(command: list[str], *, log: Path) -> Cost:
    """Run a program to its end, start-up included; what it writes goes to `log`. Raises ProgramFailedError."""
    began_at, peak_mb = time.monotonic(), 0.0
    with log.open("wb") as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), number) for number in (1, 2)]
        process_id = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    while not (ended := os.wait4(process_id, os.WNOHANG))[0]:
        peak_mb = max(peak_mb, _peak_mb(process_id))  # what the kernel gives in the end is its parent's as well
        time.sleep(_LOOK_EVERY_S)
    _, status, used = ended
    if os.waitstatus_to_exitcode(status):
        raise ProgramFailedError((log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1])
    return Cost(wall_s=time.monotonic() - began_at, cpu_s=used.ru_utime + used.ru_stime, peak_mb=peak_mb)


def own_cost_of(command: list[str], *, log: Path) -> Cost:
    """Run a program that measures its work itself, and prints as its last line what that took.

    Raises ProgramFailedError.
    """
    whole = cost_of(command, log=log)
    told = json.loads(log.read_text().strip().splitlines()[-1])
    return Cost(wall_s=told["wall_s"], cpu_s=told["cpu_s"], peak_mb=whole.peak_mb)


class RunningProcess:
    """A process that goes on, and what it has cost since it was looked at first."""

    def __init__(self, process_id: int) -> None:
        self._process = psutil.Process(process_id)
        self._began_at, self._cpu_before_s = time.monotonic(), self._cpu_s()

    def cost(self) -> Cost:
        """Give what it has cost so far; its peak is that of its whole life."""
        wall_s, cpu_s = time.monotonic() - self._began_at, self._cpu_s() - self._cpu_before_s
        return Cost(wall_s=wall_s, cpu_s=cpu_s, peak_mb=_peak_mb(self._process.pid))

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


def _peak_mb(process_id: int) -> float:
    """Read the most memory that a process has had since it became the program it is; 0.0 when it has ended."""
    status = Path(f"/proc/{process_id}/status")
    try:
        found = _PEAK.search(status.read_text())
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found is not None else 0.0
