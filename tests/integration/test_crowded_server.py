"""More connections than a process may open files, from clients that send too little: others are answered."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from api_shim.operations.open_files import room_within
from sandbox.configuration import python_environment
from sandbox.processes import Command, Process
from sandbox.servers.ports import HOST, ReservedPort, is_open
from tests.patience import PATIENCE_S, until

PROJECT = Path(__file__).parents[2]
FILES, CROWD = 256, 300
ROOM = room_within(FILES)
HALF_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n" + b"x" * 250
BUSY = b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n"
Json = dict[str, Any]


class Server:
    """The server's process, and connections to it."""

    def __init__(self, folder: Path, *, waits_s: float) -> None:
        self._port = ReservedPort()
        module = "tests.integration.crowded_server"
        arguments = (sys.executable, "-m", module, str(self._port.number), str(FILES), str(waits_s))
        self.process = Process(
            name="server",
            command=Command(arguments=arguments, environment=python_environment(), folder=PROJECT),
            log=folder / "server.log",
            ready=lambda _: is_open(self._port.number),
        )

    def crowd(self, stack: ExitStack, says: bytes, *, count: int = CROWD) -> list[socket.socket]:
        """Open many connections that send the same bytes and no more."""
        found = []
        for _ in range(count):
            connection = stack.enter_context(closing(self.open()))
            connection.sendall(says)
            found.append(connection)
        return found

    def open(self) -> socket.socket:
        return socket.create_connection((HOST, self._port.number), timeout=PATIENCE_S)

    def ask(self, path: str = "/") -> tuple[int, Json]:
        with closing(HTTPConnection(HOST, self._port.number, timeout=PATIENCE_S)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def counts(self) -> Json:
        status, found = self.ask("/healthz")
        assert status == 200
        return found

    def closed(self, reason: str) -> int:
        return int(self.counts()["closed"].get(reason, 0))


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running(tmp_path_factory.mktemp("server"), waits_s=60)


@pytest.fixture
def server(patient: Server) -> Server:
    """Wait until the connections of the previous test are closed: only the asking one is open."""
    until(lambda: patient.counts()["open"] == 1)
    return patient


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that waits half a second instead of 10."""
    yield from running(tmp_path_factory.mktemp("hurried"), waits_s=0.5)


def running(folder: Path, *, waits_s: float) -> Iterator[Server]:
    server = Server(folder, waits_s=waits_s)
    server.process.start().wait_ready()
    try:
        yield server
    finally:
        server.process.stop()


def is_closed(connection: socket.socket) -> bool:
    """Read what is left, and return whether the server has closed the connection."""
    connection.settimeout(PATIENCE_S)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "says", [b"", b"GET / HT", HALF_BODY, b"\r\n"], ids=["nothing", "half a head", "half a body", "a line"]
)
def test_others_are_answered_while_a_crowd_says_too_little(server: Server, says: bytes) -> None:
    with ExitStack() as stack:
        server.crowd(stack, says)

        answers = [server.ask()[0] for _ in range(50)]

    assert answers == [200] * 50


def test_a_silent_crowd_costs_no_processor_time(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    with ExitStack() as stack:
        server.crowd(stack, b"")
        server.counts()
        before = process.cpu_times()
        time.sleep(1)
        after = process.cpu_times()

    assert after.user + after.system - before.user - before.system < 0.3


@pytest.mark.parametrize(
    ("says", "reason"), [(b"", "silent"), (b"GET / HT", "head"), (HALF_BODY, "body"), (b"\r\n", "silent")]
)
def test_who_says_too_little_is_closed(hurried: Server, says: bytes, reason: str) -> None:
    before = hurried.closed(reason)
    with ExitStack() as stack:
        for connection in hurried.crowd(stack, says, count=5):
            assert is_closed(connection)

    until(lambda: hurried.closed(reason) - before >= 5)


def test_a_connection_that_was_answered_and_says_a_line_only_is_closed(hurried: Server) -> None:
    with closing(hurried.open()) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")

        assert is_closed(connection)


def test_the_one_that_waits_longest_for_its_client_makes_room(server: Server) -> None:
    before = server.closed("crowded")
    with ExitStack() as stack:
        kept_alive = stack.enter_context(closing(server.open()))
        kept_alive.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept_alive.recv(65_536).startswith(b"HTTP/1.1 200")
        silent = server.crowd(stack, b"", count=ROOM)

        assert is_closed(kept_alive)
        assert server.closed("crowded") - before in {2, 3}  # the question is a connection, too
        assert [is_closed(each) for each in silent[:1]] == [True]


def test_nobody_who_is_being_answered_is_cut_off_and_health_is_told(server: Server) -> None:
    with ExitStack() as stack:
        busy = server.crowd(stack, BUSY, count=ROOM)
        until(lambda: server.counts()["open"], lambda found: found >= ROOM)

        status, refused = server.ask()
        health = [server.ask("/healthz")[0] for _ in range(40)]
        server.ask("/metrics")  # ends the wait

        assert (status, refused["code"], refused["errno"]) == (503, "unavailable", 503)
        assert "MAX_CONNECTIONS" in refused["message"]
        assert health == [200] * 40
        assert [each.recv(65_536)[:12] for each in busy] == [b"HTTP/1.1 200"] * ROOM


def test_who_is_let_in_for_health_alone_is_answered_once(server: Server) -> None:
    """Pipelined requests would occupy the connection for as long as the client does not read the answers."""
    with ExitStack() as stack:
        server.crowd(stack, BUSY, count=ROOM)
        until(lambda: server.counts()["open"], lambda found: found >= ROOM)
        asks = stack.enter_context(closing(server.open()))
        asks.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        received = b""
        with suppress(ConnectionError):
            while part := asks.recv(65_536):
                received += part

    assert received.count(b"HTTP/1.1 200") == 1
    server.ask("/metrics")  # ends the wait


def test_even_a_crowd_that_asks_for_health_alone_leaves_files(server: Server) -> None:
    with ExitStack() as stack:
        server.crowd(stack, BUSY, count=ROOM)
        until(lambda: server.counts()["open"], lambda found: found >= ROOM)
        server.crowd(stack, b"", count=CROWD)

        assert [server.ask("/healthz")[0] for _ in range(10)] == [200] * 10
        assert psutil.Process(server.process.pid).num_fds() < FILES - 40

    server.ask("/metrics")  # ends the wait


def test_more_connections_than_there_are_files_for_end_the_start_with_a_line() -> None:
    environment = {**python_environment(), "JWT_SECRET": "x" * 32, "MAX_CONNECTIONS": "1000000"}
    done = subprocess.run(
        [sys.executable, "-m", "api_shim"], env=environment, capture_output=True, text=True, check=False, cwd=PROJECT
    )

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("settings: MAX_CONNECTIONS: 1000000 needs a limit of 1002176 open files (nofile)")
