"""What the shim's HTTP refuses before anything else hears of it, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import pytest
import uvicorn

from api_shim.operations import http_limits
from api_shim.operations.http_limits import BoundedHttpProtocol
from api_shim.operations.http_refusals import MOST_HEADER_BYTES, MOST_HEADERS, MOST_TARGET_BYTES
from tests.patience import PATIENCE_S, until

Json = dict[str, Any]
END = b"\r\n\r\n"
LARGE = 1000
FEW = 1000
"""More bytes than a request line and the usual headers have."""


gone = list[str]()
"""Paths of requests whose client was reported as gone."""


async def application(scope: Json, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
    """Answer how large target and body were; to `/early` before the body was read, to `/large` at length.

    `/waits` is answered when its client is gone.
    """
    if scope["type"] != "http":
        return
    if scope["path"] == "/waits":
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone.append(scope["path"])
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (*[True] * LARGE, False):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": more})
        return
    body = 0
    more = scope["path"] != "/early"
    while more:
        message = await receive()
        body += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer = json.dumps({"target": len(scope["raw_path"]), "body": body}).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


class Server(uvicorn.Server):
    """uvicorn as the shim runs it, in a thread."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        super().__init__(uvicorn.Config(application, http=BoundedHttpProtocol, ws="none", log_config=None))
        self.thread = Thread(target=lambda: asyncio.run(self.serve([self.socket])))

    def connect(self) -> socket.socket:
        return socket.create_connection(self.socket.getsockname(), timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    server.thread.start()
    yield server
    server.should_exit = True
    server.thread.join()


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def answer_in(received: bytes) -> tuple[int, Json]:
    head, _, body = received.partition(END)
    assert b"content-type: application/json" in head or b" 200 " in head
    return int(head.split()[1]), json.loads(body)


def ask(server: Server, *parts: bytes) -> tuple[int, Json]:
    """Send a request that ends its connection."""
    with closing(server.connect()) as connection:
        for part in parts:
            connection.sendall(part)
        return answer_in(read_all(connection))


def is_cut_off(connection: socket.socket, part: bytes) -> bool:
    """Return whether sending a part again and again ends in a closed connection."""
    give_up_at = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < give_up_at:
            connection.sendall(part)
    except ConnectionError:
        return True
    return False


def request(*, target: bytes = b"/", headers: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"


def refusal(status: int, message: str) -> tuple[int, Json]:
    return status, {"success": False, "errno": status, "message": message, "code": "invalid_request"}


LONG_TARGET = refusal(414, f"target: must be at most {MOST_TARGET_BYTES} bytes")
LARGE_HEADERS = refusal(431, f"headers: must be at most {MOST_HEADER_BYTES} bytes and {MOST_HEADERS} fields in all")


def test_a_target_may_be_so_long_and_no_longer(server: Server) -> None:
    longest = b"/".ljust(MOST_TARGET_BYTES, b"x")

    assert ask(server, request(target=longest)) == (200, {"target": MOST_TARGET_BYTES, "body": 0})
    assert ask(server, request(target=longest + b"x")) == LONG_TARGET
    assert ask(server, request(target=longest * 20)) == LONG_TARGET


def test_headers_may_be_so_large_and_no_larger(server: Server) -> None:
    large = b"a: ".ljust(MOST_HEADER_BYTES - FEW, b"x") + b"\r\n"

    assert ask(server, request(headers=large))[0] == 200
    assert ask(server, request(headers=large * 2)) == LARGE_HEADERS
    assert ask(server, request(headers=b"a: ".ljust(40 * MOST_HEADER_BYTES, b"x") + b"\r\n")) == LARGE_HEADERS


def test_headers_may_be_so_many_and_no_more(server: Server) -> None:
    assert ask(server, request(headers=b"a: b\r\n" * (MOST_HEADERS - 2)))[0] == 200
    assert ask(server, request(headers=b"a: b\r\n" * (MOST_HEADERS - 1))) == LARGE_HEADERS


@pytest.mark.parametrize(
    ("begin", "answer"),
    [(b"GET /", LONG_TARGET), (b"GET / HTTP/1.1\r\na: ", LARGE_HEADERS), (b"GET / HTTP/1.1\r\na", LARGE_HEADERS)],
)
def test_what_has_no_end_is_refused_long_before_it(server: Server, begin: bytes, answer: tuple[int, Json]) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(begin)
        sent = 0
        connection.settimeout(0.005)
        received = b""
        while not received and sent < 100 * MOST_HEADER_BYTES:
            sent += connection.send(b"x" * 4096)
            try:
                received = connection.recv(65_536)
            except TimeoutError:
                continue

    assert answer_in(received) == answer
    assert sent < 2 * (MOST_TARGET_BYTES + MOST_HEADER_BYTES)


def test_headers_that_come_behind_a_body_count_as_well(server: Server) -> None:
    begin = b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with closing(server.connect()) as connection:
        connection.sendall(begin)
        assert is_cut_off(connection, b"a: b\r\n")


def test_a_body_that_goes_on_for_ever_is_cut_off(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert is_cut_off(connection, b"1000\r\n" + b"x" * 4096 + b"\r\n")


def test_a_head_that_trickles_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_limits, "_WITHIN_S", 0.05)
    with closing(server.connect()) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")

        assert answer_in(read_all(connection)) == refusal(408, "headers: must arrive within 10 seconds")


def test_an_answer_that_nobody_reads_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_limits, "_UNREAD_WITHIN_S", 0.05)
    closed = BoundedHttpProtocol.limits.closed
    before = closed["unread"]
    with closing(server.connect()) as connection:
        connection.sendall(request(target=b"/large"))
        until(lambda: closed["unread"], lambda found: found == before + 1)


def test_a_large_answer_is_given_to_who_reads_it_slowly(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_limits, "_UNREAD_WITHIN_S", PATIENCE_S)
    with closing(server.connect()) as connection:
        connection.sendall(request(target=b"/large"))
        time.sleep(0.1)  # it has filled all there is between them
        assert read_all(connection).count(b"x") == (LARGE + 1) * 65_536


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\x01\x00\x01", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_told_so(server: Server, noise: bytes) -> None:
    assert ask(server, noise) == refusal(400, "The request is not HTTP")


def test_a_connection_is_kept_and_every_request_on_it_counted_alone(server: Server) -> None:
    host, port = server.socket.getsockname()
    with closing(HTTPConnection(host, port, timeout=PATIENCE_S)) as connection:
        for _ in range(14):  # more than a request may hold in all
            connection.request("POST", "/", body=b"x" * 50_000, headers={"a": "x" * (MOST_HEADER_BYTES - FEW)})
            answer = connection.getresponse()

            assert (answer.status, json.loads(answer.read())) == (200, {"target": 1, "body": 50_000})


def test_requests_that_are_sent_ahead_are_answered_in_turn(server: Server) -> None:
    get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    with closing(server.connect()) as connection:
        connection.sendall(get * 20 + request())
        received = read_all(connection)

    assert received.count(b"HTTP/1.1 200 OK") == 21


def test_who_has_sent_requests_ahead_and_goes_is_not_waited_for(server: Server) -> None:
    gone.clear()
    ahead = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3

    with closing(server.connect()) as connection:
        connection.sendall(b"GET /waits HTTP/1.1\r\nHost: x\r\n\r\n" + ahead)

    assert until(lambda: gone, lambda found: len(found) > 0) == ["/waits"]


@pytest.mark.parametrize("field", [b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_an_upgrade_would_lose_is_refused(server: Server, field: bytes) -> None:
    """Java's HTTP client asks for `h2c` where there is no TLS."""
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"

    status, body = ask(server, b"POST / HTTP/1.1\r\nHost: x\r\n" + upgrade + field + b"\r\n", b"abc")

    assert (status, body["code"]) == (400, "invalid_request")
    assert "Upgrade" in body["message"]
    assert ask(server, request(headers=upgrade))[0] == 200
