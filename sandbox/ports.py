"""Free loopback ports that stay ours from the moment they are chosen, also while a server restarts."""

from __future__ import annotations

import os
import socket
import sys
import weakref

HOST = "127.0.0.1"


class ReservedPort:
    """A free port on the loopback interface, kept for as long as this object lives.

    On Linux a bound socket that never listens holds it: the kernel gives the port to nobody else, and a server
    that binds with SO_REUSEADDR (all of ours do) still gets it. Elsewhere it is only free when it is chosen.
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
    """Whether someone listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0
