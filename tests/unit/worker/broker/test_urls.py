"""Which CELERY_BROKER_URL and REDIS_URL are accepted, how they are parsed, and that refusals show no secret."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES, get_transport_cls
from kombu.transport import redis as kombu_redis
from kombu.transport.pyamqp import Transport

from worker.broker import amqps, kombu_patch
from worker.broker.redis_client import async_redis_client, impatient_redis, redis_client
from worker.broker.redis_urls import RedisAddress, parse_redis_url
from worker.broker.tls_options import TlsOptions
from worker.broker.urls import parse_broker_url

SENTINELS = "redis+sentinel://:s%2Fcret@one:26379,two,[::1]:7/orders/2"
SECRETS = ("s/cret", "s%2Fcret", "pass-word")


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = built.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    file = tmp_path / "ca.pem"
    file.write_bytes(dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return str(file)


def test_sentinels_are_one_url_for_both_settings() -> None:
    address = parse_redis_url(SENTINELS)

    assert address == RedisAddress(
        hosts=(("one", 26379), ("two", 26379), ("::1", 7)), master="orders", database=2, password="s/cret"
    )
    broker = parse_broker_url(SENTINELS)
    assert (broker.redis, broker.use_ssl, broker.nodes) == (address, None, 1)
    assert broker.url.split(";") == [
        "sentinel://:s%2Fcret@one:26379/2",
        "sentinel://:s%2Fcret@two:26379/2",
        "sentinel://:s%2Fcret@[::1]:7/2",
    ]


def test_each_client_asks_the_sentinels_for_the_master() -> None:
    url = f"{SENTINELS}?sentinel_username=watch&sentinel_password=pass-word"

    for client in (impatient_redis(url), redis_client(url, timeout_s=2), async_redis_client(url)):
        pool: Any = client.connection_pool
        assert (pool.service_name, pool.is_master) == ("orders", True)
        assert (pool.connection_kwargs["db"], pool.connection_kwargs["password"]) == (2, "s/cret")
        asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
        assert [(each["host"], each["port"]) for each in asked] == [("one", 26379), ("two", 26379), ("::1", 7)]
        assert {(each["username"], each["password"]) for each in asked} == {("watch", "pass-word")}


def test_kombu_asks_them_as_well_and_its_repairs_hold_there() -> None:
    broker = parse_broker_url(SENTINELS)
    kombu_patch.apply()
    with Connection(broker.url, transport_options={"master_name": "orders", "sentinel_kwargs": {}}) as connection:
        assert isinstance(connection.transport, kombu_redis.SentinelTransport)
        repaired: Any = kombu_redis.Channel
        channel: Any = connection.transport.Channel
        assert channel.is_repaired
        assert channel.QoS.is_repaired
        assert channel._brpop_read is repaired._brpop_read  # noqa: SLF001 - what is repaired


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", TlsOptions()),
        ("?ssl_cert_reqs=required", TlsOptions()),
        ("?ssl_cert_reqs=CERT_NONE", TlsOptions(verify=False, check_hostname=False)),
        ("?ssl_cert_reqs=none", TlsOptions(verify=False, check_hostname=False)),
        ("?ssl_check_hostname=false", TlsOptions(check_hostname=False)),
    ],
)
@pytest.mark.parametrize(
    "url", ["rediss://:pass-word@host/1", "rediss+sentinel://:pass-word@host/orders/1", "amqps://u:pass-word@host/"]
)
def test_certificates_are_checked_unless_the_url_says_otherwise(url: str, query: str, expected: TlsOptions) -> None:
    broker = parse_broker_url(url + query)

    assert broker.use_ssl == (expected.for_amqp() if url.startswith("amqps") else expected.for_redis())
    assert "ssl" not in broker.url
    assert "pass-word" not in repr(broker)


@pytest.mark.parametrize("scheme", ["rediss://host", "rediss+sentinel://host/orders"])
def test_every_client_of_redis_checks_them(scheme: str, ca_file: str) -> None:
    url = f"{scheme}?ssl_ca_certs={ca_file}"
    for client in (impatient_redis(url), redis_client(url, timeout_s=2), async_redis_client(url)):
        told = client.connection_pool.connection_kwargs
        assert (told["ssl_cert_reqs"], told["ssl_check_hostname"], told["ssl_ca_certs"]) == ("required", True, ca_file)


def test_rabbitmq_checks_the_certificate_of_the_node_it_is_connected_to(
    ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = parse_broker_url(f"amqps://localhost//?ssl_ca_certs={ca_file};amqps://two:7//")
    seen: list[dict[str, Any]] = []

    def connect(transport: Transport) -> object:
        client: Any = transport.client
        seen.append(dict(client.ssl))
        client.hostname = client.hostname.replace("localhost", "127.0.0.1")  # as kombu has it
        return object()

    monkeypatch.setattr(Transport, "establish_connection", connect)
    monkeypatch.setitem(TRANSPORT_ALIASES, "amqps", "")
    amqps.install()

    found: object = get_transport_cls("amqps")
    assert found is amqps.VerifyingTransport
    connection = Connection(broker.url, ssl=dict(broker.use_ssl or {}))
    for _ in range(2):
        connection.transport.establish_connection()
    connection.maybe_switch_next()
    connection.transport.establish_connection()
    assert [each["server_hostname"] for each in seen] == ["localhost", "localhost", "two"]
    assert {(each["cert_reqs"], each["ca_certs"]) for each in seen} == {(ssl.CERT_REQUIRED, ca_file)}


def test_several_nodes_of_rabbitmq_are_tried_in_turn() -> None:
    broker = parse_broker_url("amqp://u:p@one//;amqp://u:p@two:5673/vhost?heartbeat=7")
    assert (broker.url, broker.nodes, broker.redis) == (
        "amqp://u:p@one//;amqp://u:p@two:5673/vhost?heartbeat=7",
        2,
        None,
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://:pass-word@host", "must be a URL that starts with redis://"),
        ("redis://:pass-word@host:99999", "must have a host and a valid port"),
        ("redis://", "must have a host"),
        ("redis://:pass-word@one:6379,two:6379/0", "several servers need Sentinel"),
        ("redis://:pass-word@one/0;redis://:pass-word@two/0", "several servers need Sentinel"),
        ("redis://:pass-word@one/db", "number of a database"),
        ("redis://:pass#word@one/0", "must have a host"),
        ("redis://one/0?socket_timout=1", "unknown parameters: socket_timout"),
        ("sentinel://:pass-word@one:26379;sentinel://two:26379", "redis+sentinel://"),
        ("redis+sentinel://:pass-word@one:26379", "must name the master"),
        ("redis+sentinel://:pass-word@one,/orders", "a valid port"),
        ("redis+sentinel://one/orders?master=x", "unknown parameters: master"),
        ("amqp://u:pass-word@one;amqps://two", "amqp://user"),
        ("amqp://u:pass-word@one;", "amqp://user"),
        ("amqp://one?ssl=true", "unknown parameters: ssl"),
        ("amqps://one?ssl_ca_certs=/nowhere", "ssl_ca_certs: must be a file"),
        ("amqps://one?ssl_cert_reqs=none;amqps://two?ssl_cert_reqs=required", "the same about certificates"),
        ("rediss://:pass-word@one?ssl_cert_reqs=maybe", "ssl_cert_reqs: must be one of"),
        ("rediss://:pass-word@one?ssl_certfile=/nowhere", "ssl_certfile, ssl_keyfile"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_without_a_secret(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        parse_broker_url(url)

    assert not any(secret in str(refused.value) for secret in SECRETS)


def test_a_redis_of_its_own_keeps_the_parameters_of_its_library() -> None:
    client = redis_client("redis://host/1?health_check_interval=3", timeout_s=2)
    assert client.connection_pool.connection_kwargs["health_check_interval"] == 3
