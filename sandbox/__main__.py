"""`python -m sandbox demo` and `python -m sandbox up`."""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    # Only for the time of the imports below: nothing runs yet that would have to be stopped.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    from sandbox.commands.command_line import main

    exit_status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C while Python shuts down would change the exit status
    sys.exit(exit_status)
