"""TokenHealth: which accounts have to reconnect, and that a newly stored token ends that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.tokens import InMemoryTokenStore
from worker.accounts.connection import Fingerprint, Refusal
from worker.accounts.health import TokenHealth
from worker.accounts.token import Token
from worker.errors import StoreUnavailableError, TokenUnreadableError

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


class LockedTokenStore(InMemoryTokenStore):
    """A store of which this process has no key."""

    def find(self, account_id: str, owner: str) -> Token | None:  # noqa: ARG002 - the protocol's
        raise TokenUnreadableError


@dataclass
class World:
    tokens: InMemoryTokenStore = field(default_factory=InMemoryTokenStore)
    connections: InMemoryConnectionStore = field(default_factory=InMemoryConnectionStore)

    @property
    def health(self) -> TokenHealth:
        return TokenHealth(connections=self.connections, tokens=self.tokens)

    def store(self, owner: str, refresh_token: str) -> Token:
        token = Token(
            account_id="a1",
            owner=owner,
            access_token=None,
            refresh_token=SecretStr(refresh_token),
            generated_at=None,
            expires_in_s=None,
        )
        self.tokens.put(token)
        return token

    def refuse(self, owner: str, refresh_token: str = "refused") -> Refusal:
        fingerprint = Fingerprint.of(self.store(owner, refresh_token))
        refusal = Refusal(reason="revoked", since=NOW, asked_at=NOW, token=fingerprint.token, client_id="app")
        self.connections.refuse("a1", owner, refusal)
        return refusal


@pytest.fixture
def world() -> World:
    return World()


def test_a_refused_token_says_why_and_since_when(world: World) -> None:
    refusal = world.refuse("u1")

    assert world.health.refusal("a1", "u1") == refusal
    assert world.health.count_refused() == 1


def test_what_was_never_refused_needs_nothing(world: World) -> None:
    world.store("u1", "fine")

    assert world.health.refusal("a1", "u1") is None
    assert world.health.refusal("a1", "nobody") is None
    assert world.health.count_refused() == 0


def test_a_token_that_anyone_stores_ends_it(world: World) -> None:
    world.refuse("u1")
    world.refuse("u2")

    world.store("u1", "newly stored")

    assert world.health.refusal("a1", "u1") is None
    assert world.health.count_refused() == 1
    assert [connection.owner for connection in world.connections.list_refused(most=10)] == ["u2"]


def test_a_connection_that_was_removed_needs_nothing(world: World) -> None:
    world.refuse("u1")
    world.tokens.clear()

    assert world.health.refusal("a1", "u1") is None
    assert world.health.count_refused() == 0


def test_a_token_that_cannot_be_read_here_stays_refused_and_says_so_when_asked(world: World) -> None:
    world.refuse("u1")
    locked = TokenHealth(connections=world.connections, tokens=LockedTokenStore())

    assert locked.count_refused() == 1
    with pytest.raises(TokenUnreadableError):
        locked.refusal("a1", "u1")


def test_health_is_unknown_without_the_database(world: World) -> None:
    world.connections.is_away = True

    with pytest.raises(StoreUnavailableError):
        world.health.count_refused()
    with pytest.raises(StoreUnavailableError):
        world.health.refusal("a1", "u1")


def test_among_many_connections_the_obstacles_are_named(world: World) -> None:
    world.store("well", "good")
    world.refuse("refused")
    world.refuse("mended")
    world.store("mended", "another")

    found = world.health.obstacles([("a1", owner) for owner in ("well", "refused", "mended", "absent")])

    assert found == {
        ("a1", "refused"): "revoked (reconnect_required)",
        ("a1", "absent"): "Api Token Not Found (token_not_found)",
    }


def test_a_token_that_cannot_be_read_just_now_is_no_obstacle(world: World) -> None:
    world.refuse("u1")
    locked = LockedTokenStore()
    locked.put(world.store("u1", "refused"))

    assert TokenHealth(connections=world.connections, tokens=locked).obstacles([("a1", "u1")]) == {}


def test_no_accounts_have_no_obstacles(world: World) -> None:
    assert world.health.obstacles([]) == {}
