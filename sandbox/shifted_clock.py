"""Runs processes with a wrong clock, by a small library that LD_PRELOAD loads before the C library."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_SOURCE = Path(__file__).with_name("shifted_clock.c")
_COMPILE_S = 60


class NoShiftedClockError(Exception):
    """Clocks cannot be shifted on this machine: that takes Linux and a C compiler."""


def can_shift_clocks() -> bool:
    return sys.platform == "linux" and shutil.which("cc") is not None


class ShiftedClocks:
    """The extra environment of programs with a wrong clock; `shifts_s` are seconds by program name (`worker-1`).

    Compiles the library into `folder` if any program needs it. Raises NoShiftedClockError.
    """

    def __init__(self, folder: Path, shifts_s: Mapping[str, int]) -> None:
        self._shifts_s = shifts_s
        self._library = _compile(folder / "shifted_clock.so") if shifts_s else None

    def environment_of(self, name: str) -> dict[str, str]:
        """Return the variables that shift the clock of a program; {} for a program with the right time."""
        if name not in self._shifts_s:
            return {}
        return {"LD_PRELOAD": str(self._library), "CLOCK_SHIFT_S": str(self._shifts_s[name])}


def _compile(library: Path) -> Path:
    if not can_shift_clocks():
        raise NoShiftedClockError("Clocks can be shifted on Linux, with a C compiler (`cc`)")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE)]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMPILE_S)
    if compiled.returncode:
        raise NoShiftedClockError(f"The C compiler failed: {compiled.stderr}")
    return library
