"""Measures durations, percentiles, and the cost of processes: wall time, CPU time, peak memory."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psutil

_SAMPLE_EVERY_S = 0.02
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class ProgramFailedError(Exception):
    """A program ended with a non-zero status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one run. `peak_mb` is in 10^6 bytes."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def elapsed_s(act: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began_at = time.perf_counter()
    act()
    return time.perf_counter() - began_at


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile from 1 to 99 of at least two values."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def window_sizes(instants: Sequence[float], seconds: float) -> Iterator[int]:
    """Yield, for each of the ascending instants, how many lie in the half-open window that ends with it."""
    first = 0
    for last, at in enumerate(instants):
        while instants[first] <= at - seconds:
            first += 1
        yield last - first + 1


def cost_of(command: list[str], *, log: Path) -> Cost:
    """Run a program to its end, start-up included, with its output in `log`. Raises ProgramFailedError."""
    began_at, peak_mb = time.monotonic(), 0.0
    with log.open("wb") as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), number) for number in (1, 2)]
        process_id = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    while not (ended := os.wait4(process_id, os.WNOHANG))[0]:
        # Sampled, because ru_maxrss of a child includes what its parent had at the fork.
        peak_mb = max(peak_mb, _peak_mb(process_id))
        time.sleep(_SAMPLE_EVERY_S)
    _, status, used = ended
    if os.waitstatus_to_exitcode(status):
        raise ProgramFailedError((log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1])
    return Cost(wall_s=time.monotonic() - began_at, cpu_s=used.ru_utime + used.ru_stime, peak_mb=peak_mb)


def own_cost_of(command: list[str], *, log: Path) -> Cost:
    """Run a program that prints its own cost as the last line, in JSON (`wall_s`, `cpu_s`).

    Raises ProgramFailedError.
    """
    whole = cost_of(command, log=log)
    own = json.loads(log.read_text().strip().splitlines()[-1])
    return Cost(wall_s=own["wall_s"], cpu_s=own["cpu_s"], peak_mb=whole.peak_mb)


class RunningProcess:
    """A running process, and its cost since this object was created."""

    def __init__(self, process_id: int) -> None:
        self._process = psutil.Process(process_id)
        self._began_at, self._cpu_before_s = time.monotonic(), self._cpu_s()

    def cost(self) -> Cost:
        """Return the cost so far; the peak covers the whole life of the process."""
        wall_s, cpu_s = time.monotonic() - self._began_at, self._cpu_s() - self._cpu_before_s
        return Cost(wall_s=wall_s, cpu_s=cpu_s, peak_mb=_peak_mb(self._process.pid))

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


def _peak_mb(process_id: int) -> float:
    """Return the peak resident memory of a process since its exec; 0.0 after its end."""
    status = Path(f"/proc/{process_id}/status")
    try:
        found = _PEAK.search(status.read_text())
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found is not None else 0.0
