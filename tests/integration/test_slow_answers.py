"""Transport on a real socket: an answer that comes byte by byte has to end, whatever its framing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pydantic import SecretStr

from worker.errors import RetryableHubSpotError
from worker.hubspot import transport

LENGTH = b"Content-Length: 1000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"  # one chunk of 1000 bytes
BYTE_EVERY_S = 0.05
LONGEST_S = 0.3


@pytest.fixture(params=[LENGTH, CHUNKED], ids=["length", "chunked"])
def dripping_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of a server that needs 50 s for its answer."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening, request.param, over))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        over.set()
        thread.join()


def drip(listening: socket.socket, framing: bytes, over: threading.Event) -> None:
    connection, _ = listening.accept()
    with connection, suppress(OSError):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing)
        for _ in range(1000):
            connection.sendall(b" ")
            if over.wait(BYTE_EVERY_S):
                return


def test_a_dripping_answer_is_given_up(dripping_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_ANSWER_S", LONGEST_S)
    began = time.monotonic()
    with pytest.raises(RetryableHubSpotError, match="does not come to an end"):
        transport.Transport().get(dripping_url, [], SecretStr("token"), api="legacy")
    assert time.monotonic() - began < 20
