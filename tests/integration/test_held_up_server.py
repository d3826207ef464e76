"""A shim that gets no processor time for a while: requests that arrived in time are answered, without a reset."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from sandbox.configuration import python_environment
from sandbox.processes import Command, Process
from sandbox.servers.ports import HOST, ReservedPort, is_open
from tests.integration.held_up_server import WAITS_S
from tests.patience import PATIENCE_S, until

PROJECT = Path(__file__).parents[2]


class Server:
    """The server's process, and connections to it."""

    def __init__(self, folder: Path) -> None:
        self._port = ReservedPort()
        arguments = (sys.executable, "-m", "tests.integration.held_up_server", str(self._port.number))
        self.process = Process(
            name="server",
            command=Command(arguments=arguments, environment=python_environment(), folder=PROJECT),
            log=folder / "server.log",
            ready=lambda _: is_open(self._port.number),
        )

    def connect(self) -> HTTPConnection:
        return HTTPConnection(HOST, self._port.number, timeout=PATIENCE_S)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Stop the process for longer than its timeouts; what is sent meanwhile arrives in time."""
        self.process.send(signal.SIGSTOP)
        try:
            until(lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)
            yield
            time.sleep(2 * WAITS_S)
        finally:
            self.process.send(signal.SIGCONT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.process.start().wait_ready()
    try:
        yield server
    finally:
        server.process.kill()


def answer_on(connection: HTTPConnection) -> tuple[int, int]:
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_request_on_an_idle_connection_is_answered(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/")
        answer_on(connection)
        with server.held_up():
            connection.request("POST", "/", body=b"abc")

        assert answer_on(connection) == (200, 3)


def test_a_request_on_a_connection_that_was_silent_until_then_is_answered(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.connect()
        time.sleep(WAITS_S / 5)
        with server.held_up():
            connection.request("POST", "/", body=b"abc")

        assert answer_on(connection) == (200, 3)


def test_a_head_that_has_come_meanwhile_is_read(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.connect()
        connection.send(b"POST / HTTP/1.1\r\nHost: x\r\n")
        time.sleep(WAITS_S / 5)  # it has begun to wait for the rest
        with server.held_up():
            connection.send(b"Content-Length: 3\r\n\r\nabc")

        assert connection.sock.recv(65_536).startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_has_come_meanwhile_is_read(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "3")
        connection.endheaders()
        time.sleep(WAITS_S / 5)
        with server.held_up():
            connection.send(b"abc")

        assert answer_on(connection) == (200, 3)


def test_a_connection_that_stays_idle_is_closed(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/")
        answer_on(connection)

        assert connection.sock.recv(1) == b""


def test_a_request_that_was_there_before_a_server_is_told_to_stop_is_answered(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/")
        answer_on(connection)
        with server.held_up():
            connection.request("POST", "/", body=b"abc")
            server.process.send(signal.SIGTERM)

        assert answer_on(connection) == (200, 3)
