"""A TCP proxy that can freeze the connections it has: they stay open and nothing passes, as after a lost route."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

_CHUNK = 65_536


class _Connection(NamedTuple):
    client: socket.socket
    server: socket.socket
    is_frozen: threading.Event


class Proxy:
    """Relays between 127.0.0.1:`port` and the target's port, with one thread a direction."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[_Connection] = []
        self._frozen: list[_Connection] = []  # kept, or they would be closed as soon as nobody holds them
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def freeze_existing(self) -> int:
        """Drop whatever comes on the connections that are open now, and return how many there are. New ones work."""
        frozen, self._open = self._open, []
        self._frozen += frozen
        for connection in frozen:
            connection.is_frozen.set()
        return len(frozen)

    def close(self) -> None:
        """Stop listening, and end every connection, frozen ones included."""
        self._listening.close()
        for connection in (*self._frozen, *self._open):
            for end in (connection.client, connection.server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
                end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target_port))
                connection = _Connection(client, server, threading.Event())
                self._open.append(connection)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_relay, args=(source, sink, connection.is_frozen), daemon=True).start()


def _relay(source: socket.socket, sink: socket.socket, is_frozen: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            if is_frozen.is_set():
                return  # what came is lost, and neither end is told
            sink.sendall(data)
        if not is_frozen.is_set():
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
