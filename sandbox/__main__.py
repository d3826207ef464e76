"""`python -m sandbox demo` and `python -m sandbox up`."""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    # In force while the rest is loaded: until then nothing runs that would have to be stopped.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    from sandbox.command_line import main

    exit_status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it would replace the exit status while Python takes itself down
    sys.exit(exit_status)
