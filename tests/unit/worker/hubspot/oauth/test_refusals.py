"""TokenProvider and refusals: HubSpot is not asked in vain, and no refusal outlives a token that works."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.tokens import InMemoryTokenStore
from tests.unit.worker.account_world import HUB, AccountWorld
from worker.accounts.connection import Fingerprint, Refusal, TokenInfo
from worker.accounts.token import Token
from worker.errors import HubSpotError, ReconnectRequiredError, StoreUnavailableError

REASON = "refresh token is invalid, expired or revoked"


class ForgetfulConnectionStore(InMemoryConnectionStore):
    """A store to which nothing can be written."""

    def learn(
        self,
        account_id: str,  # noqa: ARG002 - the protocol's, and so the rest
        owner: str,  # noqa: ARG002
        facts: TokenInfo,  # noqa: ARG002
        *,
        fingerprint: Fingerprint,  # noqa: ARG002
        at: datetime,  # noqa: ARG002
    ) -> None:
        raise StoreUnavailableError

    def refuse(self, account_id: str, owner: str, refusal: Refusal) -> None:  # noqa: ARG002 - the protocol's
        raise StoreUnavailableError


class RestlessTokenStore(InMemoryTokenStore):
    """A store in which something happens before it is read for the n-th time (counted from 1)."""

    at_look = 0
    happening: Callable[[], object] = staticmethod(lambda: None)
    looks = 0

    def find(self, account_id: str, owner: str) -> Token | None:
        self.looks += 1
        if self.looks == self.at_look:
            self.happening()
        return super().find(account_id, owner)


@pytest.fixture
def refused(world: AccountWorld) -> AccountWorld:
    """Return a world in which HubSpot has refused the stored token."""
    world.store_token(is_live=False)
    world.hubspot.tokens.revoke(HUB)
    with pytest.raises(ReconnectRequiredError):
        world.source.get("a1", "u1")
    return world


def refusal_in(world: AccountWorld) -> Refusal | None:
    known = world.connections.find("a1", "u1")
    return known.refusal if known is not None else None


def restore(world: AccountWorld) -> None:
    """Let HubSpot accept the same refresh token again."""
    world.hubspot.tokens.install(HUB, f"refresh-{HUB}")


def test_a_refused_token_is_noted_with_reason_and_instant_and_logged_once(world: AccountWorld) -> None:
    world.store_token(is_live=False)
    world.hubspot.tokens.revoke(HUB)

    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ReconnectRequiredError):
                world.source.get("a1", "u1")

    assert refusal_in(world) == Refusal(
        reason=REASON, since=world.clock(), asked_at=world.clock(), token=world.fingerprint().token, client_id="app"
    )
    events = [event for event in logs if event["event"] == "reconnect_required"]
    assert [(event["account_id"], event["owner"], event["reason"]) for event in events] == [("a1", "u1", REASON)]


def test_hubspot_is_not_asked_again_about_the_same_token(refused: AccountWorld) -> None:
    refused.clock.advance(3500)

    for _ in range(3):
        with pytest.raises(ReconnectRequiredError, match=REASON) as again:
            refused.source.get("a1", "u1")
        assert again.value.status == 400
        assert again.value.details == "HubSpot has refused the refresh token since 2026-11-23T15:00:00Z: connect again"

    assert refused.calls("token") == [400]


def test_another_owner_of_the_account_is_not_held_up(refused: AccountWorld) -> None:
    refused.store_token(owner="u2")

    assert refused.source.get("a1", "u2") is not None


@pytest.mark.parametrize(
    "happening",
    [
        pytest.param(lambda world: world.clock.advance(3601), id="an hour passes"),
        pytest.param(lambda world: world.connections.ask_again("a1", "u1"), id="someone retries"),
        pytest.param(lambda world: world.connections.remove("a1", "u1"), id="nothing is known any more"),
        pytest.param(
            lambda world: world.store_token(is_live=False, access_token=SecretStr("other")),
            id="anything else is stored",
        ),
        pytest.param(lambda world: setattr(world, "client_id", "the right app"), id="the app is another"),
    ],
)
def test_hubspot_is_asked_again_when(refused: AccountWorld, happening: Callable[[AccountWorld], object]) -> None:
    happening(refused)
    restore(refused)

    assert refused.source.get("a1", "u1") == refused.stored().access_token

    assert refusal_in(refused) is None


def test_a_refusal_that_is_repeated_is_held_for_another_hour_and_keeps_its_beginning(refused: AccountWorld) -> None:
    began_at = refused.clock()
    refused.clock.advance(3601)
    for _ in range(2):
        with pytest.raises(ReconnectRequiredError):
            refused.source.get("a1", "u1")

    refusal = refusal_in(refused)

    assert refused.calls("token") == [400, 400]
    assert refusal is not None
    assert (refusal.since, refusal.asked_at) == (began_at, began_at + timedelta(seconds=3601))


def test_a_newly_stored_access_token_is_used_whatever_was_refused(refused: AccountWorld) -> None:
    live = refused.store_token().access_token

    assert refused.source.get("a1", "u1") == live

    assert refused.calls("token") == [400]


def test_a_token_that_was_connected_while_hubspot_refused_the_old_one_is_renewed_with(world: AccountWorld) -> None:
    tokens = RestlessTokenStore()
    tokens.at_look, tokens.happening = 4, lambda: world.store_token(is_live=False, access_token=None)
    world.tokens = tokens
    world.store_token(is_live=False, refresh_token=SecretStr("old"))

    assert world.source.get("a1", "u1") == world.stored().access_token

    assert world.calls("token") == [400, 200]
    assert refusal_in(world) is None


def test_a_document_without_a_refresh_token_is_noted_too(world: AccountWorld) -> None:
    world.store_token(is_live=False, refresh_token=None)

    with pytest.raises(ReconnectRequiredError):
        world.source.get("a1", "u1")

    refusal = refusal_in(world)
    assert refusal is not None
    assert refusal.reason == "No refresh token is stored for this account"


@pytest.mark.parametrize("recipe", ["internal_json", "reset", "ten_secondly", "missing_scopes"])
def test_any_other_failure_refuses_nothing(world: AccountWorld, recipe: str) -> None:
    world.store_token(is_live=False)
    world.hubspot.fail_next(recipe, type="token")  # type: ignore[arg-type]  # a recipe that there is

    with pytest.raises(HubSpotError):
        world.source.get("a1", "u1")

    assert refusal_in(world) is None


def test_what_a_renewal_tells_is_kept_for_the_token_that_it_gave(world: AccountWorld) -> None:
    world.store_token(is_live=False)

    world.source.get("a1", "u1")

    known = world.connections.find("a1", "u1")
    assert known is not None
    scopes = world.hubspot.accounts[HUB].settings.scopes
    assert known.facts == TokenInfo(hub_id=HUB, user_id=7, scopes=scopes)
    assert (known.fingerprint, known.checked_at) == (world.fingerprint(), world.clock())


def test_a_renewal_that_tells_nothing_ends_a_refusal_and_leaves_what_was_known(refused: AccountWorld) -> None:
    facts = TokenInfo(hub_id=1, scopes=("oauth",))
    refused.connections.learn("a1", "u1", facts, fingerprint=refused.fingerprint(), at=refused.clock())
    grant = {"access_token": "new", "refresh_token": f"refresh-{HUB}", "expires_in": 1800}
    refused.hubspot.fail_next(status=200, body=grant, type="token")

    refused.source.get("a1", "u1")

    known = refused.connections.find("a1", "u1")
    assert known is not None
    assert (known.refusal, known.facts) == (None, facts)


def test_a_token_is_none_the_worse_for_what_cannot_be_noted(world: AccountWorld) -> None:
    world.connections = ForgetfulConnectionStore()
    world.store_token(is_live=False)

    assert world.source.get("a1", "u1") == world.stored().access_token


def test_who_cannot_note_a_refusal_says_what_hubspot_said(world: AccountWorld) -> None:
    world.connections = ForgetfulConnectionStore()
    world.store_token(is_live=False)
    world.hubspot.tokens.revoke(HUB)

    with pytest.raises(ReconnectRequiredError, match=REASON):
        world.source.get("a1", "u1")
