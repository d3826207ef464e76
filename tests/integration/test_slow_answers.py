"""Transport on real sockets: slow, dripping and interim answers, and what they leave on a connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest
from pydantic import SecretStr

from worker.errors import CallAbandonedError, RetryableHubSpotError, TimedOutError
from worker.hubspot import transport
from worker.hubspot.transport import Answer, Sessions, Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"  # one chunk of 1000 bytes
HEAD = b"HTTP/1.1 200 OK\r\nX-Endless: "
PATIENCE_S = 0.6
TOKEN = SecretStr("token")

Serve = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serving(*connections: Serve) -> Iterator[str]:
    """Serve one connection after the other, each in its own way; yields the URL."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, args=(listening, connections, over))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def accept(listening: socket.socket, connections: Sequence[Serve], over: threading.Event) -> None:
    listening.settimeout(10)
    for serve in connections:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                serve(connection, over)


def answering(*answers: bytes, every_s: float = 0.0, pieces: int = 1) -> Serve:
    """Answer requests one after the other, each answer in so many pieces, with pauses before them."""

    def serve(connection: socket.socket, over: threading.Event) -> None:
        for answer in answers:
            if not connection.recv(65_536):
                return
            size = -(-len(answer) // pieces)
            for start in range(0, len(answer), size):
                if over.wait(every_s):
                    return
                connection.sendall(answer[start : start + size])
        over.wait(10)

    return serve


def dripping(beginning: bytes) -> Serve:
    def serve(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(beginning)
        while not over.wait(0.05):
            connection.sendall(b" ")

    return serve


def ask(url: str, *, patience_s: float = PATIENCE_S, stopping: threading.Event | None = None) -> Answer:
    return Transport(Sessions(patience_s=patience_s, stopping=stopping).send).get(url, [], TOKEN, api="legacy")


@pytest.mark.parametrize("beginning", [b"", HEAD, LENGTH, CHUNKED], ids=["silent", "head", "length", "chunked"])
def test_an_answer_that_drips_has_its_time_for_all_of_it(beginning: bytes) -> None:
    with serving(dripping(beginning)) as url:
        began = time.monotonic()
        with pytest.raises(TimedOutError, match="did not answer in time"):
            ask(url)
        assert time.monotonic() - began < 5


def test_an_answer_that_is_slow_within_its_time_is_read() -> None:
    with serving(answering(OK, every_s=0.1, pieces=20)) as url:
        assert ask(url, patience_s=30).body == b"{}"


@pytest.mark.parametrize("hints", [1, 3])
def test_early_hints_are_left_out(hints: int) -> None:
    with serving(answering(HINTS * hints + OK, OK)) as url:
        sessions = Sessions(patience_s=10)
        for _ in range(2):
            assert Transport(sessions.send).get(url, [], TOKEN, api="legacy").body == b"{}"


@pytest.mark.parametrize(
    "stray",
    [
        HINTS * 30,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n",
    ],
    ids=["hints for ever", "101", "204", "304"],
)
def test_what_follows_an_answer_without_a_body_answers_nobody_else(stray: bytes) -> None:
    """A connection serves many accounts: bytes left on it would answer another account's call."""
    foreign = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"foreign"'
    with serving(answering(stray + foreign, foreign), answering(OK)) as url:
        sessions = Sessions(patience_s=10)
        with pytest.raises(RetryableHubSpotError):
            Transport(sessions.send).get(url, [], TOKEN, api="legacy")
        assert Transport(sessions.send).get(url, [], TOKEN, api="legacy").body == b"{}"


@pytest.mark.parametrize("beginning", [b"", LENGTH], ids=["head", "body"])
def test_a_worker_that_stops_waits_for_an_answer_for_moments_only(
    beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "GRACE_S", 0.2)
    stopping = threading.Event()
    with serving(dripping(beginning) if beginning else answering(OK, every_s=60)) as url:
        threading.Timer(0.3, stopping.set).start()
        began = time.monotonic()
        with pytest.raises(CallAbandonedError):
            ask(url, patience_s=60, stopping=stopping)
        assert time.monotonic() - began < 10


def test_an_answer_that_comes_while_a_worker_stops_is_taken() -> None:
    stopping = threading.Event()
    stopping.set()
    with serving(answering(OK, every_s=0.8)) as url:
        assert ask(url, patience_s=30, stopping=stopping).body == b"{}"


def test_what_may_be_told_only_once_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token endpoint may answer with a new refresh token that replaces the one that was sent."""
    monkeypatch.setattr(transport, "GRACE_S", 0.0)
    stopping = threading.Event()
    stopping.set()
    with serving(answering(OK, every_s=1.5)) as url:
        sessions = Sessions(patience_s=30, stopping=stopping)
        assert Transport(sessions.send).post_form(url, [("grant_type", "refresh_token")], secrets=[]) == b"{}"
