"""Processes whose clock is wrong: a small library that is loaded before C's own shows them another time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_SOURCE = Path(__file__).with_name("shifted_clock.c")
_COMPILE_S = 60


class NoShiftedClockError(Exception):
    """This machine cannot show a process another time: it takes Linux and a C compiler."""


def can_shift_clocks() -> bool:
    """Return whether this machine can."""
    return sys.platform == "linux" and shutil.which("cc") is not None


class ShiftedClocks:
    """What the environment of some programs has besides; `shifts_s` are seconds by a program's name, `worker-1`.

    The library is compiled into `folder`, if any program needs it. Raises NoShiftedClockError.
    """

    def __init__(self, folder: Path, shifts_s: Mapping[str, int]) -> None:
        self._shifts_s = shifts_s
        self._library = _compile(folder / "shifted_clock.so") if shifts_s else None

    def environment_of(self, name: str) -> dict[str, str]:
        """Return the variables that move the clock of a program, none for one whose clock is right."""
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
