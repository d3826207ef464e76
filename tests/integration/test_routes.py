"""Transport on real sockets: proxies, and connections that all threads share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from worker.hubspot.transport import Sessions, Transport

TOKEN = SecretStr("token")


class Server(ThreadingHTTPServer):
    """Answers everything, and records request lines, headers and the number of connections."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lines: list[str] = []
        self.proxy_authorizations: list[str | None] = []
        self.connections = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.server.lines.append(self.requestline)
        self.server.proxy_authorizations.append(self.headers["Proxy-Authorization"])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def get(sessions: Sessions, url: str, *params: tuple[str, str]) -> bytes:
    return Transport(sessions.send).get(url, params, TOKEN, api="legacy").body


def test_a_proxy_that_the_environment_names_is_asked_for_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://someone:secret@{proxy.host}")
        sessions = Sessions(patience_s=10)
        get(sessions, "http://hubspot.test/contacts?a=1", ("count", "2"))
        monkeypatch.delenv("http_proxy")  # what was found for a host holds
        get(sessions, "http://hubspot.test/contacts?a=1", ("count", "3"))

        assert proxy.lines == [f"GET http://hubspot.test/contacts?a=1&count={count} HTTP/1.1" for count in (2, 3)]
        assert proxy.proxy_authorizations == ["Basic c29tZW9uZTpzZWNyZXQ="] * 2
        assert proxy.connections == 1


def test_a_host_that_no_proxy_is_for_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy, serving() as hubspot:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        sessions = Sessions(patience_s=10)
        get(sessions, f"http://{hubspot.host}/contacts")
        get(sessions, "http://hubspot.test/contacts")

        assert hubspot.lines == ["GET /contacts HTTP/1.1"]
        assert proxy.lines == ["GET http://hubspot.test/contacts HTTP/1.1"]


def test_threads_share_connections() -> None:
    with serving() as hubspot:
        sessions = Sessions(patience_s=10)
        for _ in range(3):
            thread = threading.Thread(target=get, args=(sessions, f"http://{hubspot.host}/contacts"))
            thread.start()
            thread.join()

        assert (len(hubspot.lines), hubspot.connections) == (3, 1)


def test_certificates_are_those_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with pytest.raises(OSError, match="bundle"):
        get(Sessions(patience_s=10), "https://127.0.0.1:1/contacts")
