"""Runs a command that dies with its parent: `python parent_death.py PARENT_PID COMMAND [ARGUMENT …]`.

A replacement for `preexec_fn`, which would run Python code in the fork of a process that may have threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_COMMAND_NOT_FOUND = 127


def main(parent_pid: str, *command: str) -> int:
    """Replace this process by `command`; on Linux the kernel kills it when the parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent_pid):  # the parent died before prctl took effect
        return 1
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return _COMMAND_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
