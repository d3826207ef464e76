"""Free loopback ports that stay reserved, also while their server restarts."""

from __future__ import annotations

import os
import socket
import sys
import weakref

HOST = "127.0.0.1"


class ReservedPort:
    """A free port on the loopback interface, reserved for the lifetime of this object.

    On Linux a bound socket that never listens holds the port: the kernel assigns it to no other process, and a server
    that binds with SO_REUSEADDR (all of ours do) still gets it. On other systems another process may take it.
    """

    def __init__(self) -> None:
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, 0))
        self.number: int = holder.getsockname()[1]
        if sys.platform == "linux":
            weakref.finalize(self, os.close, holder.detach())
        else:
            holder.close()


def is_open(port: int) -> bool:
    """Return whether a process listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0
