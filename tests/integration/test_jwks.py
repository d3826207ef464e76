"""JWTs signed by an identity provider that publishes its keys: what PyJWT's client does over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt import jwk_set_cache
from jwt.algorithms import RSAAlgorithm

from api_shim.auth import Caller, JwtVerifier, KeysUnavailableError, UnauthorizedError
from worker.settings import ShimSettings

KEPT_S = 300


class IdentityProvider:
    """Publishes keys under their ids, or whatever else a test wants it to answer."""

    def __init__(self) -> None:
        self.keys: dict[str, RSAPrivateKey] = {}
        self.answer: tuple[int, bytes] | None = None
        self.fetched = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetched += 1
                status, body = provider.answer or (200, provider.key_set())
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def add_key(self, key_id: str) -> RSAPrivateKey:
        self.keys[key_id] = generate_private_key(public_exponent=65537, key_size=2048)
        return self.keys[key_id]

    def key_set(self) -> bytes:
        keys = [RSAAlgorithm.to_jwk(k.public_key(), as_dict=True) | {"kid": name} for name, k in self.keys.items()]
        return json.dumps({"keys": keys}).encode()


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
def verifier(provider: IdentityProvider) -> JwtVerifier:
    return JwtVerifier(ShimSettings.model_validate({"jwt_jwks_url": provider.url}))


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
    published = provider.add_key("k1")
    strange = generate_private_key(public_exponent=65537, key_size=2048)
    secret = "x" * 64

    for token in (
        signed(strange, key_id="k1"),
        signed(strange, key_id="k2"),
        signed(published, key_id=None),
        signed(secret, key_id="k1", algorithm="HS256"),
        "x.y.z",
    ):
        with pytest.raises(UnauthorizedError):
            caller(verifier, token)


def test_strangers_do_not_make_us_ask_over_and_over(provider: IdentityProvider, verifier: JwtVerifier) -> None:
    key = provider.add_key("k1")

    for number in range(10):
        with pytest.raises(UnauthorizedError):
            caller(verifier, signed(key, key_id=f"unknown-{number}"))

    assert provider.fetched == 1


def test_a_key_that_was_withdrawn_lets_nobody_in_after_five_minutes(
    provider: IdentityProvider, verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")
    caller(verifier, token)
    provider.keys.clear()
    provider.add_key("k2")

    later = SimpleNamespace(monotonic=lambda: time.monotonic() + KEPT_S + 1)
    monkeypatch.setattr(jwk_set_cache, "time", later)

    with pytest.raises(UnauthorizedError):
        caller(verifier, token)


@pytest.mark.parametrize("answer", [(500, b""), (404, b"{}"), (200, b"<html>"), (200, b""), (200, b'{"keys": []}')])
def test_a_provider_that_gives_no_keys_is_not_the_callers_fault(
    provider: IdentityProvider, verifier: JwtVerifier, answer: tuple[int, bytes]
) -> None:
    token = signed(provider.add_key("k1"), key_id="k1")
    provider.answer = answer

    with pytest.raises(KeysUnavailableError):
        caller(verifier, token)

    provider.answer = None
    assert caller(verifier, token).account_id == "a1"


def test_a_provider_that_is_away_is_not_the_callers_fault() -> None:
    nobody = JwtVerifier(ShimSettings.model_validate({"jwt_jwks_url": f"http://127.0.0.1:{free_port()}/jwks.json"}))

    with pytest.raises(KeysUnavailableError):
        caller(nobody, signed("x" * 64, key_id="k1", algorithm="HS256"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
