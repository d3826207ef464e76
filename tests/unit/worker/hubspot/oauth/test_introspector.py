"""Inspector and TokenInfoClient: what HubSpot says of a token, asked once, and never at the cost of the token."""

from __future__ import annotations

import logging
from typing import Literal

import pytest
import requests
import responses
from pydantic import SecretStr

from sandbox.fake_hubspot.transport.mounting import HUBSPOT_URL
from tests.fakes.clock import ManualClock
from tests.fakes.tokens import InMemoryTokenEndpoints
from tests.unit.worker.account_world import CLIENT_SECRET, HUB, LATER, V1, AccountWorld
from worker.accounts.connection import TokenInfo
from worker.errors import (
    FatalHubSpotError,
    HubSpotError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    TokenNotFoundError,
    TokenRefusedError,
)
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_information import TokenInfoClient
from worker.hubspot.transport import Transport
from worker.records.types import CONTACTS, DEALS, DOCUMENTED_TYPES
from worker.telemetry.logs import configure_logs

INFO = f"{HUBSPOT_URL}/oauth/v1/access-tokens"
SECRET = "CKsecret/with?every&kind=of#character%2F"


@pytest.fixture(params=[V1, LATER])
def any_world(request: pytest.FixtureRequest, world: AccountWorld) -> AccountWorld:
    world.token_path = request.param
    return world


def test_hubspot_tells_whose_a_token_is_and_what_it_may_read(any_world: AccountWorld) -> None:
    any_world.store_token()

    facts = any_world.introspector.look("a1", "u1")

    scopes = any_world.hubspot.accounts[HUB].settings.scopes
    assert facts == TokenInfo(hub_id=HUB, user_id=7, user="user7@example.test", scopes=scopes)


def test_hubspot_is_asked_once_for_every_token(any_world: AccountWorld) -> None:
    any_world.store_token()
    facts = [any_world.introspector.look("a1", "u1") for _ in range(3)]
    assert any_world.calls("token-info") == [200]

    any_world.store_token()
    facts.append(any_world.introspector.look("a1", "u1"))

    assert any_world.calls("token-info") == [200, 200]
    assert len(set(facts)) == 1


def test_what_a_renewal_tells_needs_no_further_question(any_world: AccountWorld) -> None:
    any_world.store_token(is_live=False)

    facts = any_world.introspector.look("a1", "u1")

    assert (facts.hub_id, facts.scopes is not None) == (HUB, True)
    assert (any_world.calls("token"), any_world.calls("token-info")) == ([200], [])


def test_a_scope_that_is_missing_is_named_by_type(any_world: AccountWorld) -> None:
    any_world.hubspot.accounts[HUB].change({"scopes": ["oauth", "content"]})
    any_world.store_token()

    missing = any_world.introspector.missing("a1", "u1", [CONTACTS, DEALS])

    assert missing == {DEALS: ("crm.objects.deals.read",)}


def test_scopes_that_were_granted_since_are_seen_with_the_next_token(any_world: AccountWorld) -> None:
    any_world.hubspot.accounts[HUB].change({"scopes": ["oauth"]})
    any_world.store_token()
    assert any_world.introspector.missing("a1", "u1", [DEALS]) != {}

    any_world.hubspot.accounts[HUB].change({"scopes": ["oauth", "crm.objects.deals.read"]})
    any_world.clock.advance(1800)

    assert any_world.introspector.missing("a1", "u1", [DEALS]) == {}


def test_an_access_token_that_hubspot_has_ended_is_renewed_once(any_world: AccountWorld) -> None:
    any_world.store_token()
    any_world.hubspot.tokens.expire(HUB)

    assert any_world.introspector.look("a1", "u1").hub_id == HUB

    assert any_world.calls("token") == [200]
    said = any_world.calls("token-info")  # version 1 does not tell a token that it does not know from its own end
    assert said == ([404, 200, 200] if any_world.token_path == V1 else [200, 200])


def test_what_stands_in_the_way_is_said_by_kind(any_world: AccountWorld) -> None:
    with pytest.raises(TokenNotFoundError):
        any_world.introspector.look("a1", "u1")

    any_world.store_token()
    any_world.hubspot.fail_next("unavailable", type="token-info")
    with pytest.raises(RetryableHubSpotError):
        any_world.introspector.missing("a1", "u1", list(DOCUMENTED_TYPES))

    any_world.store_token(is_live=False)
    any_world.hubspot.tokens.revoke(HUB)
    with pytest.raises(ReconnectRequiredError):
        any_world.introspector.look("a1", "u1")


@pytest.mark.parametrize(
    "told",
    [
        {"scopes": None},
        {},
        {"hub_id": "62,515", "scopes": "", "user": 7, "user_id": -1},
        {"hub_id": 2**70, "scopes": [1, 2], "user": "x" * 501},
        {"hub_id": True, "user": ["a"], "scopes": ["x" * 501]},
    ],
)
def test_what_hubspot_tells_in_another_form_counts_as_not_told(world: AccountWorld, told: dict[str, object]) -> None:
    world.store_token()
    world.hubspot.fail_next(status=200, body=told, type="token-info")

    assert world.introspector.look("a1", "u1") == TokenInfo()


def test_scopes_that_hubspot_does_not_tell_are_not_missing_and_asked_for_again(world: AccountWorld) -> None:
    world.store_token()
    world.hubspot.fail_next(status=200, body={"hub_id": 5}, type="token-info", times=2)

    assert [world.introspector.missing("a1", "u1", list(DOCUMENTED_TYPES)) for _ in range(2)] == [{}, {}]

    assert len(world.calls("token-info")) == 2


def test_what_hubspot_tells_is_understood_in_any_spelling(world: AccountWorld) -> None:
    world.store_token()
    told = {"active": 1, "hub_id": "62515", "user_id": 7.0, "scopes": "contacts content"}
    world.hubspot.fail_next(status=200, body=told, type="token-info")

    assert world.introspector.look("a1", "u1") == TokenInfo(hub_id=62515, user_id=7, scopes=("contacts", "content"))


@pytest.mark.parametrize("active", [False, "false", 0])
def test_a_token_that_is_not_active_is_renewed_in_whatever_way_that_is_said(
    world: AccountWorld, active: object
) -> None:
    world.store_token()
    world.hubspot.fail_next(status=200, body={"active": active}, type="token-info")

    assert world.introspector.look("a1", "u1").hub_id == HUB

    assert world.calls("token") == [200]


@pytest.mark.parametrize("body", ["<html>", "[]", "", '{"status": "error", "message": "backend gave up"}'])
def test_an_answer_that_is_none_may_be_better_later(world: AccountWorld, body: str) -> None:
    world.store_token()
    world.hubspot.fail_next(status=200, body=body, type="token-info")

    with pytest.raises(RetryableHubSpotError):
        world.introspector.look("a1", "u1")


def test_a_401_to_the_question_is_about_the_app_and_renews_nothing(world: AccountWorld) -> None:
    world.store_token()
    world.hubspot.fail_next(status=401, body={"message": "unknown client"}, type="token-info", times=None)

    with pytest.raises(FatalHubSpotError, match="unknown client"):
        world.introspector.look("a1", "u1")
    assert not [call for call in world.hubspot.journal.calls if call.type == "token"]


def test_a_renewal_whose_answer_says_odd_things_besides_is_as_good_as_any(world: AccountWorld) -> None:
    world.store_token(is_live=False)
    odd: dict[str, object] = {"hub_id": "?", "user_id": [], "scopes": {"a": 1}, "user": None}
    grant = {"access_token": "new", "refresh_token": f"refresh-{HUB}", "expires_in": 1800}
    world.hubspot.fail_next(status=200, body=grant | odd, type="token")

    assert world.source.get("a1", "u1") == SecretStr("new")


# The token in the address


def information() -> TokenInfoClient:
    return TokenInfoClient(
        transport=Transport(),
        addresses=TokenAddresses(f"{HUBSPOT_URL}{V1}", memory=InMemoryTokenEndpoints(ManualClock())),
        client_id="app",
        client_secret=CLIENT_SECRET,
    )


def test_a_token_goes_into_the_address_whole_whatever_is_in_it(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{INFO}/CKsecret%2Fwith%3Fevery%26kind%3Dof%23character%252F", json={"hub_id": 1})

    assert information().of(SecretStr(SECRET)).hub_id == 1
    assert "Authorization" not in mocked.calls[0].request.headers


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_refusal_that_repeats_the_address_shows_no_token(mocked: responses.RequestsMock, status: int) -> None:
    quoted = "CKsecret%2Fwith%3Fevery%26kind%3Dof%23character%252F"
    mocked.get(f"{INFO}/{quoted}", status=status, json={"message": f"{INFO}/{quoted} and {SECRET}: no"})

    with pytest.raises(HubSpotError) as refused:
        information().of(SecretStr(SECRET))

    assert isinstance(refused.value, TokenRefusedError) is (status in {400, 404})
    assert "CKsecret" not in refused.value.message + str(refused.value.body)


@pytest.mark.parametrize("failure", [requests.ConnectionError, requests.ReadTimeout, requests.exceptions.InvalidURL])
def test_a_connection_that_fails_shows_no_token(
    mocked: responses.RequestsMock, failure: type[requests.RequestException]
) -> None:
    quoted = "CKsecret%2Fwith%3Fevery%26kind%3Dof%23character%252F"
    mocked.get(f"{INFO}/{quoted}", body=failure(f"cannot reach {INFO}/{SECRET}"))

    with pytest.raises(HubSpotError) as refused:
        information().of(SecretStr(SECRET))

    assert "CKsecret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_library_that_warns_by_address_is_not_heard(level: Literal["debug", "info"]) -> None:
    before = logging.root.handlers, logging.root.level
    try:
        configure_logs("json", level)
        assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING)
    finally:
        logging.root.handlers, logging.root.level = before
