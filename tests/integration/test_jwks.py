"""JWTs signed by an identity provider that publishes its keys, over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from api_shim.auth.jwt import Caller, JwtVerifier, KeysUnavailableError, UnauthorizedError
from tests.patience import PATIENCE_S
from worker.settings import ShimSettings

FRESH_S = 300.0
KEPT_S = 3600.0
ANSWER_S = 5.0
ASK_AGAIN_S = 10.0
TRY_AGAIN_S = 2.0
Key = RSAPrivateKey | EllipticCurvePrivateKey


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class IdentityProvider:
    """Publishes keys under their ids, or whatever else a test wants it to answer."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.answer: tuple[int, bytes] | None = None
        self.may_answer = Event()
        self.may_answer.set()
        self.pause_s = 0.0
        self.fetched = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetched += 1
                provider.may_answer.wait(PATIENCE_S)
                status, body = provider.answer or (200, provider.key_set())
                self.send_response(status)
                self.end_headers()
                with suppress(OSError):
                    self.write(body)

            def write(self, body: bytes) -> None:
                """Write it at once, or byte by byte for a minute at most."""
                if not provider.pause_s:
                    self.wfile.write(body)
                    return
                for byte in body[:120]:
                    self.wfile.write(bytes([byte]))
                    time.sleep(provider.pause_s)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def add_key(self, key_id: str, key: Key | None = None) -> Key:
        self.keys[key_id] = key or rsa_key()
        return self.keys[key_id]

    def key_set(self) -> bytes:
        return json.dumps({"keys": [published(key) | {"kid": name} for name, key in self.keys.items()]}).encode()


def rsa_key() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(key: Key) -> dict[str, Any]:
    if isinstance(key, RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    with provider.server:
        thread = Thread(target=provider.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield provider
        provider.server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(provider: IdentityProvider, clock: Clock) -> JwtVerifier:
    settings = {"jwt_jwks_url": provider.url, "jwt_algorithms": "RS256,ES256"}
    return JwtVerifier(ShimSettings.model_validate(settings), clock=clock)


def signed(key: Any, *, key_id: str | None, algorithm: str = "RS256") -> str:  # noqa: ANN401 - any of PyJWT's keys
    claims = {"account_id": "a1", "uid": "u1", "scope": "contacts", "exp": datetime.now(UTC) + timedelta(hours=1)}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id} if key_id else None)


def caller(verifier: JwtVerifier, token: str) -> Caller:
    return asyncio.run(verifier.caller(f"Bearer {token}"))


def test_a_published_key_is_fetched_once_and_lets_its_owner_in(
    provider: IdentityProvider, verifier: JwtVerifier
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")

    assert {caller(verifier, token).account_id for _ in range(5)} == {"a1"}
    assert provider.fetched == 1


def test_a_key_that_is_not_published_lets_nobody_in(provider: IdentityProvider, verifier: JwtVerifier) -> None:
    provider.add_key("k1")
    strange = rsa_key()
    secret = "x" * 64

    for token in (
        signed(strange, key_id="k1"),
        signed(strange, key_id="k2"),
        signed(strange, key_id=None),
        signed(secret, key_id="k1", algorithm="HS256"),
        "x.y.z",
    ):
        with pytest.raises(UnauthorizedError):
            caller(verifier, token)


def test_keys_of_either_kind_are_read(provider: IdentityProvider, verifier: JwtVerifier) -> None:
    curve = provider.add_key("k1", ec.generate_private_key(ec.SECP256R1()))
    rsa = provider.add_key("k2")

    assert caller(verifier, signed(curve, key_id="k1", algorithm="ES256")).account_id == "a1"
    assert caller(verifier, signed(rsa, key_id="k2")).account_id == "a1"


@pytest.mark.parametrize(("names", "algorithm"), [("k1", "RS256"), ("k2", "ES256")])
def test_an_algorithm_that_does_not_go_with_the_named_key_lets_nobody_in(
    provider: IdentityProvider, verifier: JwtVerifier, names: str, algorithm: str
) -> None:
    provider.add_key("k1", ec.generate_private_key(ec.SECP256R1()))
    provider.add_key("k2")
    strange = rsa_key() if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(UnauthorizedError):
        caller(verifier, signed(strange, key_id=names, algorithm=algorithm))


def test_strangers_do_not_make_us_ask_over_and_over(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    key = provider.add_key("k1")

    for number in range(40):
        with pytest.raises(UnauthorizedError):
            caller(verifier, signed(key, key_id=f"unknown-{number}"))
        clock.now += 1

    assert provider.fetched == 40 / ASK_AGAIN_S


def test_a_new_key_lets_its_owner_in_after_ten_seconds_and_the_old_one_stays_for_its_owner(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    old = signed(provider.add_key("k1"), key_id="k1")
    caller(verifier, old)
    new = signed(provider.add_key("k2"), key_id="k2")

    clock.now += ASK_AGAIN_S

    assert [caller(verifier, token).account_id for token in (new, old)] == ["a1", "a1"]
    assert provider.fetched == 2


def test_a_key_that_was_withdrawn_lets_nobody_in_after_five_minutes(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")
    caller(verifier, token)
    provider.keys.clear()
    provider.add_key("k2")

    clock.now += FRESH_S

    with pytest.raises(UnauthorizedError):
        caller(verifier, token)


def test_a_key_that_was_replaced_under_its_id_is_read_anew(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    caller(verifier, signed(provider.add_key("k1"), key_id="k1"))
    token = signed(provider.add_key("k1"), key_id="k1")
    with pytest.raises(UnauthorizedError):
        caller(verifier, token)

    clock.now += FRESH_S

    assert caller(verifier, token).account_id == "a1"


@pytest.mark.parametrize("answer", [(500, b""), (404, b"{}"), (200, b"<html>"), (200, b""), (200, b'{"keys": []}')])
def test_a_provider_that_gives_no_keys_is_not_the_callers_fault_and_asked_again_soon(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock, answer: tuple[int, bytes]
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")
    provider.answer = answer

    for _ in range(5):
        with pytest.raises(KeysUnavailableError):
            caller(verifier, token)
    assert provider.fetched == 1

    provider.answer = None
    clock.now += TRY_AGAIN_S
    assert caller(verifier, token).account_id == "a1"


def test_a_jwt_without_a_key_id_is_checked_with_the_only_key_there_is(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    token = signed(provider.add_key("k1"), key_id=None)
    assert caller(verifier, token).account_id == "a1"

    provider.add_key("k2")
    clock.now += FRESH_S
    with pytest.raises(UnauthorizedError):
        caller(verifier, token)


def test_a_key_that_is_published_without_an_id_lets_its_owner_in(
    provider: IdentityProvider, verifier: JwtVerifier
) -> None:
    key = rsa_key()
    provider.answer = (200, json.dumps({"keys": [published(key)]}).encode())
    assert caller(verifier, signed(key, key_id=None)).account_id == "a1"


def test_a_key_for_encryption_signs_nothing(provider: IdentityProvider, verifier: JwtVerifier) -> None:
    key = rsa_key()
    both = [published(key) | {"kid": "k1", "use": "enc"}, published(rsa_key()) | {"kid": "k2"}]
    provider.answer = (200, json.dumps({"keys": both}).encode())
    with pytest.raises(UnauthorizedError):
        caller(verifier, signed(key, key_id="k1"))


def test_a_provider_that_drips_is_given_up_after_five_seconds_in_all(
    provider: IdentityProvider, verifier: JwtVerifier
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")
    provider.pause_s = 0.5  # a byte

    began_at = time.monotonic()
    with pytest.raises(KeysUnavailableError):
        caller(verifier, token)

    assert time.monotonic() - began_at < ANSWER_S + 4


def test_a_key_set_of_any_size_is_not_read(provider: IdentityProvider, verifier: JwtVerifier) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")
    provider.answer = (200, provider.key_set() + b" " * 2_000_000)
    with pytest.raises(KeysUnavailableError):
        caller(verifier, token)


def test_while_the_provider_is_away_nobody_with_a_known_key_waits_for_it(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")

    async def scenario() -> None:
        await verifier.caller(f"Bearer {token}")
        provider.answer = (503, b"")
        clock.now += FRESH_S
        await verifier.caller(f"Bearer {token}")  # finds out that the provider is away
        clock.now += TRY_AGAIN_S
        provider.may_answer.clear()
        await asyncio.wait_for(verifier.caller(f"Bearer {token}"), 4)
        provider.may_answer.set()

    asyncio.run(scenario())


def test_while_the_provider_is_away_known_keys_work_and_unknown_ones_are_nobodys_fault(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    known = provider.add_key("k1")
    token = signed(known, key_id="k1")
    began_at = clock.now
    caller(verifier, token)
    provider.answer = (503, b"")
    for passed in (FRESH_S - 1, FRESH_S, KEPT_S - 1):
        clock.now = began_at + passed
        with pytest.raises(KeysUnavailableError):
            caller(verifier, signed(known, key_id="k2"))
        assert caller(verifier, token).account_id == "a1"

    clock.now = began_at + KEPT_S
    with pytest.raises(KeysUnavailableError):
        caller(verifier, token)


def test_many_who_name_an_unknown_key_ask_once_and_who_names_a_known_one_does_not_wait(
    provider: IdentityProvider, verifier: JwtVerifier, clock: Clock
) -> None:
    key = provider.add_key("k1")
    known, unknown = (f"Bearer {signed(key, key_id=key_id)}" for key_id in ("k1", "k2"))

    async def scenario() -> None:
        await verifier.caller(known)
        clock.now += ASK_AGAIN_S
        provider.may_answer.clear()
        strangers = [asyncio.create_task(verifier.caller(unknown)) for _ in range(50)]
        await asyncio.sleep(0.05)
        assert (await verifier.caller(known)).account_id == "a1"
        provider.may_answer.set()
        outcomes = await asyncio.gather(*strangers, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UnauthorizedError}

    asyncio.run(scenario())

    assert provider.fetched == 2


def test_who_gives_up_waiting_takes_the_answer_from_nobody_else(
    provider: IdentityProvider, verifier: JwtVerifier
) -> None:
    token = f"Bearer {signed(provider.add_key('k1'), key_id='k1')}"

    async def scenario() -> None:
        provider.may_answer.clear()
        first, second = (asyncio.create_task(verifier.caller(token)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        provider.may_answer.set()
        assert (await second).account_id == "a1"

    asyncio.run(scenario())


def test_a_provider_that_is_away_is_not_the_callers_fault() -> None:
    nobody = JwtVerifier(ShimSettings.model_validate({"jwt_jwks_url": f"http://127.0.0.1:{free_port()}/jwks.json"}))

    with pytest.raises(KeysUnavailableError):
        caller(nobody, signed("x" * 64, key_id="k1", algorithm="HS256"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
