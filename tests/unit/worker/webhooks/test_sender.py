"""SsrfSafeSender: it connects only to addresses that it has checked, and describes failures in words for clients."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import httpcore
import pytest

from worker.jobs.webhook import DeliveryResult
from worker.webhooks.sender import LONGEST_CALL_S, SsrfSafeSender, resolve

URL = "https://hooks.example/jobs/1?token=secret"
PUBLIC, OTHER, PRIVATE = "1.1.1.1", "8.8.8.8", "10.0.0.1"
OK = [b"HTTP/1.1 204 No Content\r\n\r\n"]
BODY = b'{"id":"evt_1"}'
CERTIFICATES = ssl.create_default_context()


@dataclass(kw_only=True)
class Wire(httpcore.NetworkStream):
    """A connection whose peer sends these pieces, each after `pause_s`, and closes."""

    network: Network
    pieces: deque[bytes | Exception]

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
        assert timeout is not None
        if self.network.pause_s >= timeout:
            self.network.now += timeout
            raise httpcore.ReadTimeout
        self.network.now += self.network.pause_s
        self.network.reads += 1
        piece = self.pieces.popleft() if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        assert timeout is not None
        self.network.sent += buffer

    def close(self) -> None:
        self.network.closed += 1

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        assert timeout is not None
        self.network.verified.append((server_hostname, ssl_context.verify_mode, ssl_context.check_hostname))
        try:
            if self.network.tls_error is not None:
                raise self.network.tls_error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> object:  # noqa: ARG002 - httpcore's
        return None


@dataclass(kw_only=True)
class Network(httpcore.NetworkBackend):
    """A network on which `unreachable` addresses take their time, and each connection is answered with `answer`."""

    answer: Sequence[bytes | Exception] = field(default_factory=lambda: list(OK))
    unreachable: frozenset[str] = frozenset()
    pause_s: float = 0.0
    now: float = 1000.0
    tls_error: OSError | None = None
    tried: list[tuple[str, int, float]] = field(default_factory=list)
    verified: list[tuple[str | None, ssl.VerifyMode, bool]] = field(default_factory=list)
    sent: bytes = b""
    closed: int = 0
    reads: int = 0

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - httpcore's
    ) -> httpcore.NetworkStream:
        assert timeout is not None
        self.tried.append((host, port, timeout))
        if host in self.unreachable:
            self.now += timeout
            raise httpcore.ConnectTimeout
        return Wire(network=self, pieces=deque(self.answer))


def answering(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda _host, _port: list(addresses)


TO_PUBLIC = answering(PUBLIC)


def send(
    network: Network,
    url: str = URL,
    *,
    resolve: Callable[[str, int], Sequence[str]] = TO_PUBLIC,
    allow_private: bool = False,
) -> DeliveryResult:
    sender = SsrfSafeSender(
        allow_private=allow_private,
        resolve=resolve,
        network=network,
        certificates=CERTIFICATES,
        monotonic=lambda: network.now,
    )
    return sender.send(url, headers={"Content-Type": "application/json", "Webhook-Id": "evt_1"}, body=BODY)


def test_a_body_is_posted_once_to_the_address_under_the_name() -> None:
    network = Network()

    assert send(network) == DeliveryResult(status=204)

    assert [(host, port) for host, port, _ in network.tried] == [(PUBLIC, 443)]
    assert network.verified == [("hooks.example", ssl.CERT_REQUIRED, True)]
    head, _, body = network.sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /jobs/1?token=secret HTTP/1.1"
    assert {b"Host: hooks.example", b"Webhook-Id: evt_1", b"Content-Length: 14"} <= set(lines)
    assert body == BODY
    assert network.closed == 1


def test_another_port_and_an_address_are_named_as_the_url_has_them() -> None:
    network = Network()
    send(network, "https://[2606:4700::1111]:8443/", resolve=answering("2606:4700::1111"))

    assert [(host, port) for host, port, _ in network.tried] == [("2606:4700::1111", 8443)]
    assert b"\r\nHost: [2606:4700::1111]:8443\r\n" in network.sent


@pytest.mark.parametrize("addresses", [[PRIVATE], [PUBLIC, PRIVATE], [PRIVATE, PUBLIC], [PUBLIC, "::ffff:127.0.0.1"]])
def test_a_name_that_leads_to_a_private_address_too_is_not_connected_to_at_all(addresses: list[str]) -> None:
    network = Network()

    reply = send(network, resolve=answering(*addresses))

    assert reply.status is None
    assert reply.error in {
        "Its address is not a public one: it is private",
        "Its address is not a public one: it is loopback",
    }
    assert network.tried == []


def test_a_name_that_changes_between_two_questions_is_connected_to_where_it_was_checked() -> None:
    answers = deque([[PUBLIC], [PRIVATE], [PRIVATE]])
    network = Network()

    assert send(network, resolve=lambda _host, _port: answers.popleft()) == DeliveryResult(status=204)

    assert [host for host, _, _ in network.tried] == [PUBLIC]
    assert len(answers) == 2  # one question an attempt: what is connected to is what was checked
    assert send(network, resolve=lambda _host, _port: answers.popleft()).status is None
    assert len(network.tried) == 1


def test_the_own_network_can_be_allowed_and_a_clouds_secrets_cannot() -> None:
    network = Network()
    assert send(network, "http://hooks.example:8080/", resolve=answering(PRIVATE), allow_private=True).status == 204
    assert send(network, resolve=answering("169.254.169.254"), allow_private=True).status is None
    assert [(host, port) for host, port, _ in network.tried] == [(PRIVATE, 8080)]


@pytest.mark.parametrize(
    "url", ["http://hooks.example/", "https://127.0.0.1/", "https://hooks.example:25/", "nonsense"]
)
def test_a_url_that_was_accepted_under_other_settings_is_not_used_any_more(url: str) -> None:
    network = Network()

    assert (send(network, url).error or "").startswith("The URL must ")
    assert network.tried == []


@pytest.mark.parametrize(
    "location", [b"http://127.0.0.1/", b"https://hooks.example/elsewhere", b"http://169.254.169.254/"]
)
def test_a_redirect_is_an_answer_and_is_not_followed(location: bytes) -> None:
    network = Network(answer=[b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + location + b"\r\n\r\n"])

    assert send(network) == DeliveryResult(status=307)
    assert len(network.tried) == 1


def test_a_second_address_is_tried_when_the_first_is_silent_within_the_time_of_one() -> None:
    network = Network(unreachable=frozenset({PUBLIC}))

    assert send(network, resolve=answering(PUBLIC, OTHER)) == DeliveryResult(status=204)

    assert network.tried == [(PUBLIC, 443, 2.5), (OTHER, 443, 2.5)]


def test_addresses_that_are_all_silent_are_given_up_after_five_seconds() -> None:
    network = Network(unreachable=frozenset({PUBLIC, OTHER}))

    assert send(network, resolve=answering(PUBLIC, OTHER)) == DeliveryResult(error="No connection came about in time")
    assert network.now == 1005


def test_an_answer_that_does_not_come_is_given_up_after_ten_seconds() -> None:
    network = Network(pause_s=60)

    assert send(network) == DeliveryResult(error="No answer came in time")
    assert network.now == 1010


@pytest.mark.parametrize("pause_s", [0.5, 9])
def test_an_answer_that_drips_is_given_up_as_well(pause_s: float) -> None:
    network = Network(answer=[bytes([each]) for each in b"HTTP/1.1 200 OK\r\nx: " + b"x" * 500], pause_s=pause_s)

    assert send(network) == DeliveryResult(error="No answer came in time")
    assert network.now == 1000 + LONGEST_CALL_S


def test_the_body_of_an_answer_is_not_waited_for_and_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    endless = Network(answer=[head, *[b"x" * 10_000] * 50])
    slow = Network(answer=[head, *[b"x"] * 500], pause_s=0.5)

    assert send(endless) == DeliveryResult(status=200)
    assert endless.reads < 10
    assert send(slow) == DeliveryResult(status=200)
    assert slow.now <= 1000 + LONGEST_CALL_S
    assert (endless.closed, slow.closed) == (1, 1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120),
        (b"0", 0),
        (b"-1", 0),
        (b"1e9", None),
        (b"9999999", 86_400),
        (b"", None),
        (b"Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct 2026 07:26:30 GMT", 90),
    ],
)
def test_a_wish_to_be_left_alone_is_heard_in_seconds_and_as_a_date(value: bytes, seconds: float | None) -> None:
    network = Network(answer=[b"HTTP/1.1 429 Too Many\r\nretry-after: " + value + b"\r\n\r\n"])

    assert send(network) == DeliveryResult(status=429, retry_after_s=seconds)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ssl.SSLCertVerificationError("10.9.8.7"), "Its certificate is not valid for this host, or not trusted"),
        (ssl.SSLError("10.9.8.7"), "No encrypted connection came about"),
        (ConnectionResetError("10.9.8.7"), "It cannot be connected to"),
    ],
)
def test_failures_are_described_without_addresses(error: OSError, words: str) -> None:
    assert send(Network(tls_error=error)) == DeliveryResult(error=words)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([b"SSH-2.0-OpenSSH_9.9\r\n"], "What came was no answer in HTTP"),
        ([], "What came was no answer in HTTP"),
        ([httpcore.ReadError("10.9.8.7")], "The connection broke"),
    ],
)
def test_an_answer_that_is_not_http_is_described_as_such(answer: list[bytes | Exception], words: str) -> None:
    assert send(Network(answer=answer)) == DeliveryResult(error=words)


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long"), TimeoutError()]
)
def test_a_name_that_does_not_resolve_is_described_as_such(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert send(Network(), resolve=resolve) == DeliveryResult(error="Its name cannot be resolved")


def test_a_name_without_an_address_is_one_of_them() -> None:
    assert send(Network(), resolve=answering()) == DeliveryResult(error="Its name cannot be resolved")


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    network = Network()

    assert send(network) == DeliveryResult(status=204)
    assert [host for host, _, _ in network.tried] == [PUBLIC]
