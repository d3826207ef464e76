"""A program that becomes another one, tied to its parent: `python tether.py PARENT_PID COMMAND [ARGUMENT …]`.

It stands where a `preexec_fn` would, but runs no Python code in a forked copy of a process that may have threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_COMMAND_NOT_FOUND = 127


def main(parent_pid: str, *command: str) -> int:
    """Replace this process by `command`, which the kernel kills when the parent dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent_pid):  # it died before the kernel knew that we care
        return 1
    try:
        os.execvp(command[0], command)  # noqa: S606 - there is no shell in a program that becomes another one
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return _COMMAND_NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
