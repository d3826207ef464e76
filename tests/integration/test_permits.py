"""Permits on real sockets: when a request may leave, and when it counts as finished."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from tests.integration.test_slow_answers import LENGTH, OK, answering, dripping, serving
from worker.errors import FatalHubSpotError, PermitExpiredError, RetryableHubSpotError, TimedOutError
from worker.hubspot.transport import Sessions, Transport
from worker.rate_limit.permits import DELIVERY_S

TOKEN = SecretStr("token")
PATIENCE_S = 5.0
RESET = struct.pack("ii", 1, 0)


@dataclass
class NotedPermit:
    """A permit that records its calls."""

    is_expired: bool = False
    told: list[str] = field(default_factory=list)

    def leave(self) -> None:
        self.told.append("leave")
        if self.is_expired:
            raise PermitExpiredError

    def settle(self) -> None:
        self.told.append("settle")

    def close(self) -> None:
        self.told.append("close")


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}/"


def get(url: str, permit: NotedPermit, *, sessions: Sessions | None = None) -> bytes:
    sessions = sessions or Sessions(patience_s=PATIENCE_S)
    return Transport(sessions.send).get(url, [], TOKEN, api="legacy", permit=permit).body


def test_a_call_is_over_as_soon_as_the_head_of_its_answer_is_there() -> None:
    permit = NotedPermit()
    with serving(dripping(LENGTH)) as url, pytest.raises(TimedOutError):
        get(url, permit, sessions=Sessions(patience_s=0.6))

    assert permit.told == ["leave", "settle"]


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"404 Not Found", b"502 Bad Gateway"])
def test_a_refusal_is_an_answer(status: bytes) -> None:
    permit = NotedPermit()
    answer = b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % status
    with serving(answering(answer)) as url, pytest.raises((RetryableHubSpotError, FatalHubSpotError)):
        get(url, permit)

    assert permit.told == ["leave", "settle"]


def test_nothing_is_written_where_the_permit_has_expired() -> None:
    permit = NotedPermit(is_expired=True)
    with listening() as (server, url):
        with pytest.raises(PermitExpiredError):
            get(url, permit)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(1000) == b""

    assert permit.told == ["leave"]


def test_the_permit_is_looked_at_when_the_connection_stands() -> None:
    connected = list[bool]()

    class Looking(NotedPermit):
        def leave(self) -> None:
            connection, _ = server.accept()  # would wait in vain before there is one
            connection.close()
            connected.append(True)
            raise PermitExpiredError

    with listening() as (server, url), pytest.raises(PermitExpiredError):
        get(url, Looking())

    assert connected == [True]


def test_each_request_on_a_connection_needs_a_permit() -> None:
    permits = [NotedPermit(), NotedPermit(is_expired=True), NotedPermit()]
    sessions = Sessions(patience_s=PATIENCE_S)
    with serving(answering(OK, OK), answering(OK)) as url:
        assert get(url, permits[0], sessions=sessions) == b"{}"
        with pytest.raises(PermitExpiredError):
            get(url, permits[1], sessions=sessions)
        assert get(url, permits[2], sessions=sessions) == b"{}"

    assert [permit.told for permit in permits] == [["leave", "settle"], ["leave"], ["leave", "settle"]]


def test_a_call_without_an_answer_in_time_is_not_over() -> None:
    permit = NotedPermit()
    with serving(answering(OK, every_s=60)) as url, pytest.raises(TimedOutError):
        get(url, permit, sessions=Sessions(patience_s=0.3))

    assert permit.told == ["leave"]


def test_a_call_on_a_connection_that_broke_is_over() -> None:
    def resetting(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65_536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    permit = NotedPermit()
    with serving(resetting) as url, pytest.raises(RetryableHubSpotError):
        get(url, permit)

    assert permit.told == ["leave", "settle"]


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cannot bound a delivery")
def test_the_kernel_sends_nothing_again_once_a_request_must_have_been_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = list[int]()
    original = socket.socket.sendall

    def sendall(self: socket.socket, data: bytes) -> None:
        options.append(self.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        original(self, data)

    with serving(answering(OK)) as url:
        monkeypatch.setattr(socket.socket, "sendall", sendall)
        get(url, NotedPermit())

    assert options
    assert options[0] == DELIVERY_S * 1000
