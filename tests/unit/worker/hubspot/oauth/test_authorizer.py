"""CodeExchanger: what an authorisation code becomes, and what is stored of it."""

from __future__ import annotations

import time

import pytest
import responses
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.fakes.tokens import InMemoryTokenStore
from tests.unit.worker.account_world import HUB, LATER, V1, AccountWorld
from worker.accounts.connection import TokenInfo
from worker.accounts.token import RenewedToken
from worker.errors import (
    CodeRefusedError,
    FatalHubSpotError,
    HubSpotError,
    RetryableHubSpotError,
    StoreUnavailableError,
)
from worker.hubspot.oauth import authorizer
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens
from worker.rpc.requests import Connected, ExchangeCode

REDIRECT = "https://app.example.test/callback"


class FaultyTokenStore(InMemoryTokenStore):
    """A store whose next writes fail."""

    failures = 0

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        if self.failures > 0:
            self.failures -= 1
            raise StoreUnavailableError
        return super().connect(account_id, owner, granted)


def connect(world: AccountWorld, *, code: str | None = None, redirect_uri: str = REDIRECT) -> Connected:
    given = code or world.hubspot.tokens.issue_code(HUB, redirect_uri=REDIRECT).value
    question = ExchangeCode(redirect_uri=redirect_uri)
    return world.code_exchanger.connect("a1", "u1", question, code=SecretStr(given))


@pytest.mark.parametrize("path", [V1, LATER])
def test_a_code_becomes_a_token_that_works_and_hubspot_tells_whose_it_is(world: AccountWorld, path: str) -> None:
    world.token_path = path
    scopes = world.hubspot.accounts[HUB].settings.scopes

    connected = connect(world)

    facts = TokenInfo(hub_id=HUB, user_id=7, user="user7@example.test", scopes=scopes)
    assert connected == Connected(facts=facts)
    token = world.stored()
    assert (token.refresh_token, token.generated_at) == (SecretStr(f"refresh-{HUB}"), world.clock())
    assert world.source.get("a1", "u1") == token.access_token
    known = world.connections.find("a1", "u1")
    assert known is not None
    assert (known.facts, known.fingerprint, known.refusal) == (facts, world.fingerprint(), None)


def test_a_code_is_sent_once_with_the_address_that_it_was_given_to(
    world: AccountWorld, mocked: responses.RequestsMock
) -> None:
    connect(world)

    (exchange, _) = mocked.calls
    assert exchange.request.url == f"https://api.hubapi.com{V1}"
    assert "grant_type=authorization_code" in str(exchange.request.body)
    assert "redirect_uri=https%3A%2F%2Fapp.example.test%2Fcallback" in str(exchange.request.body)


def test_what_was_connected_before_is_replaced(world: AccountWorld) -> None:
    world.store_token(is_live=False, refresh_token=SecretStr("dead"))
    with pytest.raises(HubSpotError):
        world.source.get("a1", "u1")

    connect(world)

    known = world.connections.find("a1", "u1")
    assert known is not None
    assert (known.refusal, known.facts.hub_id) == (None, HUB)


def test_a_code_is_worth_nothing_a_second_time(world: AccountWorld) -> None:
    code = world.hubspot.tokens.issue_code(HUB, redirect_uri=REDIRECT).value
    connect(world, code=code)

    with pytest.raises(CodeRefusedError) as refused:
        connect(world, code=code)

    assert refused.value.message == "code: HubSpot does not take it: missing or unknown auth code"
    assert (refused.value.status, refused.value.code) == (400, "invalid_request")
    assert code not in str(refused.value.body)


@pytest.mark.parametrize(("wrong", "reason"), [("redirect", "redirect URI"), ("age", "expired")])
def test_why_hubspot_takes_no_code_is_said_in_its_words(world: AccountWorld, wrong: str, reason: str) -> None:
    code = world.hubspot.tokens.issue_code(HUB, redirect_uri=REDIRECT).value
    if wrong == "age":
        world.clock.advance(601)

    with pytest.raises(CodeRefusedError, match=reason):
        connect(world, code=code, redirect_uri="https://elsewhere.test" if wrong == "redirect" else REDIRECT)

    assert world.tokens.find("a1", "u1") is None


@pytest.mark.parametrize(
    ("recipe", "kind"), [("internal_json", RetryableHubSpotError), ("missing_scopes", FatalHubSpotError)]
)
def test_any_other_failure_is_hubspots_and_nothing_is_stored(
    world: AccountWorld, recipe: str, kind: type[Exception]
) -> None:
    world.hubspot.fail_next(recipe, type="token")  # type: ignore[arg-type]  # a recipe that there is

    with pytest.raises(kind):
        connect(world)

    assert world.tokens.find("a1", "u1") is None
    assert len(world.calls("token")) == 1


def test_the_account_is_connected_though_hubspot_does_not_tell_whose_it_is(world: AccountWorld) -> None:
    world.hubspot.fail_next("unavailable", type="token-info")

    connected = connect(world)

    assert (connected.facts.hub_id, connected.facts.user_id, connected.facts.user) == (HUB, 7, None)
    assert world.source.get("a1", "u1") == world.stored().access_token


def test_a_grant_without_a_refresh_token_is_none(world: AccountWorld) -> None:
    grant = {"access_token": "x", "expires_in": 1800}
    world.hubspot.fail_next(status=200, body=grant, type="token")

    with pytest.raises(FatalHubSpotError, match="no refresh token"):
        connect(world)

    assert world.tokens.find("a1", "u1") is None


def test_what_hubspot_gave_is_written_a_second_time_when_the_first_may_not_have_arrived(world: AccountWorld) -> None:
    store = FaultyTokenStore()
    store.failures = 1
    world.tokens = store

    connect(world)

    assert world.stored().refresh_token == SecretStr(f"refresh-{HUB}")
    assert len(world.calls("token")) == 1


def test_neither_code_nor_token_is_logged(world: AccountWorld) -> None:
    code = world.hubspot.tokens.issue_code(HUB, redirect_uri=REDIRECT).value
    world.hubspot.fail_next("unavailable", type="token-info")

    with capture_logs() as logs:
        connect(world, code=code)

    access_token = world.stored().access_token
    assert access_token is not None
    for secret in (code, access_token.get_secret_value(), f"refresh-{HUB}"):
        assert secret not in str(logs)


# MongoDB away between HubSpot's answer and the writing


class AwayTokenStore(InMemoryTokenStore):
    """A store that is away from a write of a connection on, until it is brought back."""

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        self.is_away = self.is_away or not self.was_away
        self.was_away = True
        return super().connect(account_id, owner, granted)

    was_away = False


@pytest.fixture
def away(world: AccountWorld, monkeypatch: pytest.MonkeyPatch) -> AwayTokenStore:
    monkeypatch.setattr(authorizer, "_PATIENCE_S", 0.05)
    world.unwritten = UnwrittenTokens(pause=lambda _: time.sleep(0.01))
    world.tokens = AwayTokenStore()
    return world.tokens


def let_write(world: AccountWorld) -> None:
    world.tokens.is_away = False
    assert world.unwritten.close(within_s=10) == 0


def test_who_is_told_that_the_database_is_away_is_connected_when_it_is_back(
    world: AccountWorld, away: AwayTokenStore
) -> None:
    with pytest.raises(StoreUnavailableError):
        connect(world)
    assert away.is_away

    let_write(world)

    assert world.stored().refresh_token == SecretStr(f"refresh-{HUB}")
    assert len(world.calls("token")) == 1


def test_a_late_connection_takes_the_place_of_the_one_that_was_there(world: AccountWorld, away: AwayTokenStore) -> None:
    world.store_token(refresh_token=SecretStr("older"))
    with pytest.raises(StoreUnavailableError):
        connect(world)
    assert away.is_away

    let_write(world)

    assert world.stored().refresh_token == SecretStr(f"refresh-{HUB}")


@pytest.mark.parametrize("before", [None, "older"])
def test_a_late_connection_does_not_take_the_place_of_a_newer_one(
    world: AccountWorld, away: AwayTokenStore, before: str | None
) -> None:
    if before is not None:
        world.store_token(refresh_token=SecretStr(before))
    with pytest.raises(StoreUnavailableError):
        connect(world)
    assert away.is_away
    world.store_token(refresh_token=SecretStr("newer"))

    let_write(world)

    assert world.stored().refresh_token == SecretStr("newer")


def test_without_the_database_no_code_is_spent(world: AccountWorld) -> None:
    world.tokens.is_away = True

    with pytest.raises(StoreUnavailableError):
        connect(world)

    assert world.calls("token") == []


def test_a_connection_takes_the_place_of_a_renewal_that_is_written_as_late_as_it_is(
    world: AccountWorld, away: AwayTokenStore
) -> None:
    before = world.store_token(refresh_token=SecretStr("older"))
    renewed = RenewedToken(
        access_token=SecretStr("x"), refresh_token=SecretStr("rotated"), expires_in_s=9, generated_at=world.clock()
    )

    def write() -> bool:
        raise StoreUnavailableError

    world.unwritten.write(renewed.replacing(before), write)
    with pytest.raises(StoreUnavailableError):
        connect(world)
    world.store_token(refresh_token=SecretStr("rotated"))  # by a write under way when it was replaced
    assert away.is_away

    let_write(world)

    assert world.stored().refresh_token == SecretStr(f"refresh-{HUB}")
