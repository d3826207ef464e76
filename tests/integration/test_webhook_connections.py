"""SsrfSafeSender on real sockets: it connects to the address that was checked, and verifies the host name."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.receiver import WebhookReceiver, receiving
from tests.patience import HELD_UP_S
from worker.jobs.webhook import DeliveryResult
from worker.webhooks import sender as sending
from worker.webhooks.sender import SsrfSafeSender, resolve

HOST = "hooks.example"
HEADERS = {"Content-Type": "application/json"}


class Authority:
    """A certificate authority that only these tests trust."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def trusted(self) -> ssl.SSLContext:
        """What a client that trusts this authority uses."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, folder: Path, name: x509.GeneralName) -> ssl.SSLContext:
        """Return the context of a server of that name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([])
        builder = self._builder(subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        file = folder / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def receiver(authority: Authority, tmp_path: Path) -> Iterator[WebhookReceiver]:
    """Run a receiver with the certificate of `HOST`."""
    with receiving(authority.server(tmp_path, x509.DNSName(HOST))) as receiver:
        yield receiver


def at(host: str, receiver: WebhookReceiver) -> str:
    return receiver.url.replace("127.0.0.1", host)


def sender(certificates: ssl.SSLContext) -> SsrfSafeSender:
    """Make a sender that resolves every name to this machine."""
    return SsrfSafeSender(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"], certificates=certificates)


def test_the_address_is_connected_to_and_the_name_is_verified(authority: Authority, receiver: WebhookReceiver) -> None:
    reply = sender(authority.trusted).send(at(HOST, receiver), headers=HEADERS, body=b"{}")

    assert reply == DeliveryResult(status=204)
    (received,) = receiver.got
    port = receiver.url.split(":")[2].split("/")[0]
    assert (received.path, received.body) == ("/jobs?token=secret", b"{}")
    assert received.headers["host"] == f"{HOST}:{port}"


def test_a_certificate_of_another_name_is_not_taken(authority: Authority, receiver: WebhookReceiver) -> None:
    reply = sender(authority.trusted).send(at("other.example", receiver), headers=HEADERS, body=b"{}")

    assert reply == DeliveryResult(error="Its certificate is not valid for this host, or not trusted")
    assert receiver.got == []


def test_a_certificate_that_nobody_vouches_for_is_not_taken(receiver: WebhookReceiver) -> None:
    reply = sender(ssl.create_default_context()).send(at(HOST, receiver), headers=HEADERS, body=b"{}")

    assert reply == DeliveryResult(error="Its certificate is not valid for this host, or not trusted")
    assert receiver.got == []


def test_a_destination_may_be_an_address_with_a_certificate(authority: Authority, tmp_path: Path) -> None:
    with receiving(authority.server(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))) as receiver:
        found = SsrfSafeSender(allow_private=True, certificates=authority.trusted)
        assert found.send(receiver.url, headers=HEADERS, body=b"{}") == DeliveryResult(status=204)


def test_a_redirect_into_the_own_network_is_not_followed(authority: Authority, receiver: WebhookReceiver) -> None:
    with receiving() as inside:
        receiver.replies.append((307, {"Location": inside.url}))
        assert sender(authority.trusted).send(at(HOST, receiver), headers=HEADERS, body=b"{}") == DeliveryResult(
            status=307
        )
        assert inside.got == []


def test_a_name_of_this_machine_is_found_out_when_it_is_connected_to() -> None:
    with receiving() as receiver:
        url = at("harmless.example", receiver).replace("http:", "https:")
        guarded = SsrfSafeSender(allow_private=False, resolve=lambda _host, port: resolve("localhost", port))

        reply = guarded.send(url, headers=HEADERS, body=b"{}")

        assert reply == DeliveryResult(error="Its address is not a public one: it is loopback")
        assert receiver.got == []


def test_a_port_that_nobody_listens_at_is_said_to_be_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    reply = sender(ssl.create_default_context()).send(f"http://{HOST}:{port}/", headers=HEADERS, body=b"{}")

    assert reply == DeliveryResult(error="It cannot be connected to")


def test_a_destination_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sending._TIMEOUTS, "read", 0.1)  # noqa: SLF001 - ten seconds are too long for a test
    with receiving() as receiver:
        receiver.may_answer.clear()
        began = time.monotonic()
        reply = sender(ssl.create_default_context()).send(at(HOST, receiver), headers=HEADERS, body=b"{}")

        assert reply == DeliveryResult(error="No answer came in time")
        assert time.monotonic() - began < HELD_UP_S
