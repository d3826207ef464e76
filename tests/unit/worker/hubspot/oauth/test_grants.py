"""Grants: whatever the token endpoint's answer looks like, its access token is usable, or there is one clear error."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.fakes.clock import ManualClock
from tests.fakes.tokens import InMemoryTokenEndpoints
from worker.accounts.connection import TokenInfo
from worker.errors import HubSpotError, ReconnectRequiredError, RetryableHubSpotError
from worker.hubspot.oauth.grants import UNKNOWN_LIFE_S, Grant, grant_of
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_facts import facts_of, flag_of, read_object
from worker.hubspot.transport import Transport

URL = "https://api.hubapi.com/oauth/v1/token"
DOCUMENTED: dict[str, object] = {
    "token_type": "bearer",
    "token_use": "access_token",
    "access_token": "new-access",
    "refresh_token": "new-refresh",
    "expires_in": 1800,
    "hub_id": 99,
    "user_id": 7,
    "scopes": ["oauth", "crm.objects.contacts.read"],
}


def grant(body: bytes) -> Grant:
    found = grant_of(read_object(body))
    assert found is not None
    return found


def answered(**changes: object) -> Grant:
    return grant(json.dumps(DOCUMENTED | changes).encode())


def without(*names: str) -> bytes:
    return json.dumps({name: value for name, value in DOCUMENTED.items() if name not in names}).encode()


def asked(body: bytes | str, *, status: int = 200) -> Grant:
    addresses = TokenAddresses(URL, memory=InMemoryTokenEndpoints(ManualClock()))
    endpoint = TokenEndpoint(
        transport=Transport(), addresses=addresses, client_id="app", client_secret=SecretStr("app-secret")
    )
    with responses.RequestsMock() as hubspot:
        hubspot.post(URL, status=status, body=body)
        return endpoint.renew(SecretStr("old-refresh"))


@pytest.mark.parametrize(
    ("told", "life_s"),
    [
        ("1800", 1800),
        ("1799.9", 1799),
        ("9e2", 900),
        ('"1800"', 1800),
        ('" 900 "', 900),
        ('"1800.0"', 1800),
        ("21600", 21_600),
        *((odd, UNKNOWN_LIFE_S) for odd in ("null", "true", "[1800]", '{"seconds": 1800}', '"soon"', '""')),
        *((absurd, UNKNOWN_LIFE_S) for absurd in ("0", "-1", '"-1800"', "NaN", "-Infinity", "1e300", "1800000")),
        pytest.param("9" * 5000, UNKNOWN_LIFE_S, id="5000 digits"),
        pytest.param(f'"{"9" * 5000}"', UNKNOWN_LIFE_S, id="5000 digits as text"),
    ],
)
def test_a_life_is_understood_however_it_is_spelled_and_else_is_half_an_hour(told: str, life_s: int) -> None:
    body = json.dumps(DOCUMENTED).replace('"expires_in": 1800', f'"expires_in": {told}')

    assert grant(body.encode()).expires_in_s == life_s


def test_a_life_that_is_left_out_is_half_an_hour() -> None:
    assert grant(without("expires_in")).expires_in_s == UNKNOWN_LIFE_S


@pytest.mark.parametrize("told", [None, "", "  ", 5, ["new-refresh"], {}, "two words", "half\ud83d"])
def test_a_refresh_token_that_is_none_leaves_the_old_one(told: object) -> None:
    assert answered(refresh_token=told).refresh_token is None
    assert grant(without("refresh_token")).refresh_token is None


@pytest.mark.parametrize("name", ["token_type", "token_use", "hub_id", "user_id", "scopes", "user", "id_token", "x"])
def test_no_other_field_costs_the_token(name: str) -> None:
    values: list[object] = [None, "", 5, [], {"a": 1}, "MAC", "Bearer", True]
    for found in (answered(**{name: told}) for told in values):
        assert (found.access_token, found.refresh_token) == (SecretStr("new-access"), SecretStr("new-refresh"))
    assert grant(without(name)).access_token == SecretStr("new-access")


def test_camel_case_is_understood_as_well() -> None:
    body = b'{"accessToken": "a", "refreshToken": "r", "expiresIn": "60", "hubId": "99", "userId": 7.0, "scope": "a b"}'

    assert grant(body) == Grant(
        access_token=SecretStr("a"),
        refresh_token=SecretStr("r"),
        expires_in_s=60,
        facts=TokenInfo(hub_id=99, user_id=7, scopes=("a", "b")),
    )


def test_of_two_spellings_the_one_that_can_be_read_counts() -> None:
    assert answered(access_token="", accessToken="camel").access_token == SecretStr("camel")
    assert answered(accessToken="camel").access_token == SecretStr("new-access")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + json.dumps(DOCUMENTED).encode(),
        json.dumps(DOCUMENTED).encode("utf-16"),
        b"\r\n\t " + json.dumps(DOCUMENTED).encode() + b"\n\x00",
        json.dumps(DOCUMENTED | {"note": "a\nb"}).replace("\\n", "\n").encode(),
        json.dumps(DOCUMENTED).encode()[:-1] + b', "note": "\xff\xfe", "other": NaN, "half": "\\ud83d"}',
        json.dumps(DOCUMENTED).encode()[:-1] + b', "many": ' + b"[" * 300 + b"]" * 300 + b"}",
        json.dumps(DOCUMENTED).encode()[:-1] + b', "long": ' + b"9" * 5000 + b"}",
        json.dumps({**DOCUMENTED, "status": "error", "message": "ignore me"}).encode(),
    ],
    ids=["mark", "utf-16", "around", "control", "bytes", "nested", "digits", "error besides"],
)
def test_what_gateways_do_to_json_costs_nothing(body: bytes) -> None:
    found = asked(body)

    assert (found.access_token, found.refresh_token) == (SecretStr("new-access"), SecretStr("new-refresh"))


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ('{"status": "error", "message": "backend gave up"}', RetryableHubSpotError, "backend gave up"),
        ('{"error": "server_error", "error_description": "later"}', RetryableHubSpotError, "later"),
        ('{"error": "invalid_grant", "error_description": "gone"}', ReconnectRequiredError, "gone"),
        ('{"status": "BAD_REFRESH_TOKEN"}', ReconnectRequiredError, ""),
        ("{}", RetryableHubSpotError, "gave no token"),
        ("", RetryableHubSpotError, "gave no token"),
        ("[]", RetryableHubSpotError, "gave no token"),
        ("null", RetryableHubSpotError, "gave no token"),
        ("<html>", RetryableHubSpotError, "gave no token"),
        ('{"access_token": "cut', RetryableHubSpotError, "gave no token"),
        ('{"access_token": null, "refresh_token": "new"}', RetryableHubSpotError, "gave no token"),
        ('{"access_token": ["a"]}', RetryableHubSpotError, "gave no token"),
        ('{"access_token": "a\\nb"}', RetryableHubSpotError, "gave no token"),
        ("[" * 200_000, RetryableHubSpotError, "gave no token"),
    ],
)
def test_an_answer_without_an_access_token_is_one_clear_error(body: str, kind: type[HubSpotError], says: str) -> None:
    with pytest.raises(kind) as raised:
        asked(body)

    assert says in raised.value.message
    assert raised.value.status == 200


def test_a_token_in_an_odd_place_is_shown_to_nobody() -> None:
    with pytest.raises(RetryableHubSpotError) as raised:
        asked('{"message": "odd, old-refresh", "data": {"access_token": "new-access"}, "status": "ok"}')

    told = raised.value.message + str(raised.value.body)
    assert "odd, [secret]" in told
    assert "new-access" not in told


def test_a_grant_shows_no_token() -> None:
    assert "new-" not in repr(answered())


@pytest.mark.parametrize(
    ("value", "means"),
    [
        (True, True),
        ("true", True),
        (1, True),
        ("False", False),
        (0, False),
        (0.0, False),
        (None, None),
        ("maybe", None),
    ],
)
def test_flags_are_understood_in_any_spelling(value: object, *, means: bool | None) -> None:
    assert flag_of(value) is means


@pytest.mark.parametrize(
    ("value", "hub_id"),
    [
        (5, 5),
        ("62515", 62515),
        (5.0, 5),
        ("9007199254740993", 9007199254740993),
        (5.5, None),
        (-1, None),
        (2**70, None),
    ],
)
def test_ids_are_understood_in_any_spelling(value: object, hub_id: int | None) -> None:
    assert facts_of({"hub_id": value}).hub_id == hub_id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [*DOCUMENTED, "accessToken", "refreshToken", "expiresIn", "error", "message", "status", "user"]
)


@given(st.dictionaries(FIELDS, JSON))
def test_any_answer_with_an_access_token_gives_a_usable_one(changes: dict[str, Any]) -> None:
    changes.pop("access_token", None)

    found = grant(json.dumps(DOCUMENTED | changes).encode())

    assert found.access_token == SecretStr("new-access")
    assert 1 <= found.expires_in_s <= 86_400
    assert found.refresh_token is None or found.refresh_token.get_secret_value().isascii()


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_read_without_a_fault(body: bytes) -> None:
    grant_of(read_object(body))
