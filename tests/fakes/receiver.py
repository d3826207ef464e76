"""WebhookReceiver: a destination on a socket, that keeps what it is told and answers as a test wants it to."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import PATIENCE_S


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request; its headers by their names in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(kw_only=True)
class WebhookReceiver:
    """Answers with `replies`, each a status and headers, then with 204; not at all while it `hangs`."""

    url: str
    replies: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    got: list[Received] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, *, within_s: float = PATIENCE_S) -> list[Received]:
        """Return all requests as soon as there are that many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, timeout=within_s), self.got
            return list(self.got)

    def take(self, received: Received) -> tuple[int, dict[str, str]]:
        with self.changed:
            self.got.append(received)
            self.changed.notify_all()
        self.may_answer.wait(60)
        with self.changed:
            return self.replies.popleft() if self.replies else (204, {})


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[WebhookReceiver]:
    """Run a receiver on this machine while a test lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            status, more = receiver.take(Received(path=self.path, headers=headers, body=body))
            with suppress(OSError):  # who asked may be gone by now
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Log nothing about a client that went away."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if tls is not None else "http"
    receiver = WebhookReceiver(url=f"{scheme}://127.0.0.1:{server.server_port}/jobs?token=secret")
    receiver.may_answer.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
