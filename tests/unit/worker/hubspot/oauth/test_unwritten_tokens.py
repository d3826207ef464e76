"""A refresh token that HubSpot has replaced exists in the process alone, until MongoDB takes it: it is not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.fakes.clock import ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.tokens import InMemoryRenewalLeases, InMemoryTokenStore
from tests.patience import PATIENCE_S
from worker.accounts.connection import Connection
from worker.accounts.token import RenewedToken, Token
from worker.errors import ReconnectRequiredError, StoreUnavailableError
from worker.hubspot.oauth.grants import Grant
from worker.hubspot.oauth.token_source import LEASE_S, TokenProvider
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens, Written


@dataclass
class RotatingEndpoint:
    """A Renewer that replaces the refresh token each time, and takes the newest alone.

    `then` happens before it answers.
    """

    newest: str = "refresh-0"
    renewals: int = 0
    then: Callable[[], None] = lambda: None

    def renew(self, refresh_token: SecretStr) -> Grant:
        if refresh_token.get_secret_value() != self.newest:
            raise ReconnectRequiredError("refresh token is invalid, expired or revoked", status=400)
        self.renewals += 1
        self.newest = f"refresh-{self.renewals}"
        self.then()
        return Grant(access_token=SecretStr(f"access-{self.renewals}"), refresh_token=SecretStr(self.newest))


class Pause:
    """What the writer waits with: it tries when the test says so."""

    def __init__(self) -> None:
        self._tries = threading.Semaphore(0)
        self._waiting = threading.Semaphore(0)

    def __call__(self, _: float) -> None:
        self._waiting.release()
        self._tries.acquire(timeout=30)

    def let_try(self, unwritten: UnwrittenTokens) -> None:
        """Let the writer try once, and wait for the outcome."""
        assert self._waiting.acquire(timeout=PATIENCE_S)
        self._tries.release()
        while unwritten.find("a1", "u1") is not None:
            if self._waiting.acquire(timeout=0.01):
                self._waiting.release()
                return


@dataclass
class World:
    """A database that may be away, shared by as many workers as a test makes."""

    clock: ManualClock = field(default_factory=ManualClock)
    tokens: InMemoryTokenStore = field(default_factory=InMemoryTokenStore)
    connections: InMemoryConnectionStore = field(default_factory=InMemoryConnectionStore)
    endpoint: RotatingEndpoint = field(default_factory=RotatingEndpoint)
    pause: Pause = field(default_factory=Pause)

    def __post_init__(self) -> None:
        self.leases = InMemoryRenewalLeases(self.clock)
        self.unwritten = UnwrittenTokens(pause=self.pause)

    def worker(
        self, unwritten: UnwrittenTokens | None = None, *, meanwhile: Callable[[], None] = lambda: None
    ) -> TokenProvider:
        def pause(seconds: float) -> None:
            self.clock.advance(seconds)
            meanwhile()

        return TokenProvider(
            store=self.tokens,
            leases=self.leases,
            endpoint=self.endpoint,
            client_id="app",
            connections=self.connections,
            unwritten=unwritten or self.unwritten,
            clock=self.clock,
            pause=pause,
        )

    def go(self, *, away: bool) -> None:
        self.tokens.is_away = self.leases.is_away = self.connections.is_away = away

    def goes_away(self) -> None:
        self.go(away=True)

    def stored(self) -> Token:
        token = self.tokens.find("a1", "u1")
        assert token is not None
        return token

    def known(self) -> Connection | None:
        return self.connections.find("a1", "u1")

    def let_write(self) -> None:
        """Let the worker that keeps a token try to write it."""
        self.pause.let_try(self.unwritten)

    def is_written(self) -> bool:
        return self.unwritten.find("a1", "u1") is None


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world whose token has ended, and whose database goes away while HubSpot replaces the refresh token."""
    world = World()
    world.endpoint.then = world.goes_away
    world.tokens.put(
        Token(
            account_id="a1",
            owner="u1",
            access_token=SecretStr("access-0"),
            refresh_token=SecretStr("refresh-0"),
            generated_at=world.clock() - timedelta(hours=1),
            expires_in_s=1800,
        )
    )
    yield world
    world.go(away=False)
    if world.unwritten.find("a1", "u1") is not None:
        world.let_write()


def test_what_cannot_be_written_is_used_by_every_thread_and_written_when_the_database_is_back(world: World) -> None:
    worker = world.worker()
    assert worker.get("a1", "u1") == SecretStr("access-1")
    for _ in range(60):
        world.let_write()

    assert worker.get("a1", "u1") == SecretStr("access-1")
    world.go(away=False)
    assert world.stored().refresh_token == SecretStr("refresh-0")
    world.let_write()

    assert world.is_written()
    assert (world.stored().access_token, world.stored().refresh_token) == (
        SecretStr("access-1"),
        SecretStr("refresh-1"),
    )
    assert worker.get("a1", "u1") == SecretStr("access-1")
    assert world.endpoint.renewals == 1


def test_the_lease_is_held_until_the_token_is_written(world: World) -> None:
    world.worker().get("a1", "u1")
    world.go(away=False)
    assert world.leases.acquire("a1", "u1", lease_s=LEASE_S) is None

    world.let_write()

    assert world.is_written()
    assert world.leases.acquire("a1", "u1", lease_s=LEASE_S) is not None


def test_another_worker_that_takes_the_lapsed_lease_over_lets_the_first_write(world: World) -> None:
    world.worker().get("a1", "u1")
    world.clock.advance(LEASE_S + 1)
    world.go(away=False)
    world.endpoint.then = lambda: None
    second = world.worker(UnwrittenTokens(), meanwhile=world.let_write)

    assert second.get("a1", "u1") == SecretStr("access-1")

    assert world.endpoint.renewals == 1
    assert world.known() is None or world.known().refusal is None  # type: ignore[union-attr]


def test_a_refusal_is_not_believed_while_the_holder_before_may_still_write(world: World) -> None:
    world.worker().get("a1", "u1")
    world.clock.advance(LEASE_S + 1)
    world.go(away=False)
    looks: list[int] = []

    def meanwhile() -> None:
        looks.append(1)
        if len(looks) == 30:  # long after HubSpot has refused what is stored
            world.let_write()

    assert world.worker(UnwrittenTokens(), meanwhile=meanwhile).get("a1", "u1") == SecretStr("access-1")

    known = world.known()
    assert known is None or known.refusal is None


def test_a_token_whose_worker_was_killed_is_lost_and_said_so_within_seconds(world: World) -> None:
    world.worker().get("a1", "u1")
    world.clock.advance(LEASE_S + 1)
    world.go(away=False)
    began_at = world.clock()

    with pytest.raises(ReconnectRequiredError):
        world.worker(UnwrittenTokens()).get("a1", "u1")

    assert (world.clock() - began_at).total_seconds() < 15
    known = world.known()
    assert known is not None
    assert known.refusal is not None


def test_a_late_token_ends_the_refusal_of_the_one_before(world: World) -> None:
    world.worker().get("a1", "u1")
    world.clock.advance(LEASE_S + 1)
    world.go(away=False)
    second = world.worker(UnwrittenTokens())
    with pytest.raises(ReconnectRequiredError):
        second.get("a1", "u1")

    world.let_write()
    assert world.is_written()

    assert second.get("a1", "u1") == SecretStr("access-1")


def test_who_connects_anew_meanwhile_keeps_what_was_connected(world: World) -> None:
    world.worker().get("a1", "u1")
    world.go(away=False)
    connected = RenewedToken(
        access_token=SecretStr("connected-access"),
        refresh_token=SecretStr("connected-refresh"),
        expires_in_s=1800,
        generated_at=world.clock(),
    )
    world.tokens.connect("a1", "u1", connected)

    world.let_write()

    assert world.unwritten.find("a1", "u1") is None
    assert world.worker().get("a1", "u1") == SecretStr("connected-access")
    assert world.stored().refresh_token == SecretStr("connected-refresh")


def test_who_disconnects_meanwhile_is_disconnected(world: World) -> None:
    world.worker().get("a1", "u1")
    world.go(away=False)
    world.tokens.remove("a1", "u1")

    world.let_write()

    assert world.unwritten.find("a1", "u1") is None
    assert world.tokens.find("a1", "u1") is None


def test_a_kept_token_that_has_ended_too_is_written_before_it_is_renewed(world: World) -> None:
    worker = world.worker()
    worker.get("a1", "u1")
    world.clock.advance(3600)
    with pytest.raises(StoreUnavailableError):
        worker.get("a1", "u1")
    world.go(away=False)
    world.endpoint.then = lambda: None
    lapsed = world.leases.acquire("a1", "u1", lease_s=0)
    assert lapsed is not None

    assert worker.get("a1", "u1") == SecretStr("access-2")

    assert world.stored().refresh_token == SecretStr("refresh-2")


def test_a_stop_waits_for_the_database_and_loses_nothing(world: World) -> None:
    world.worker().get("a1", "u1")
    world.go(away=False)
    threading.Timer(0.1, world.let_write).start()

    assert world.unwritten.close(within_s=30) == 0
    assert world.stored().refresh_token == SecretStr("refresh-1")


def test_a_stop_that_cannot_wait_any_longer_says_what_is_lost_and_no_token(world: World) -> None:
    with capture_logs() as logs:
        world.worker().get("a1", "u1")
        assert world.unwritten.close(within_s=0.01) == 1

    (lost,) = [line for line in logs if line["event"] == "token_lost"]
    assert (lost["log_level"], lost["account_id"], lost["owner"]) == ("error", "a1", "u1")
    secrets = ("access-0", "access-1", "refresh-0", "refresh-1")
    assert not any(secret in f"{logs} {world.unwritten.find('a1', 'u1')!r} {world.unwritten!r}" for secret in secrets)


def test_nothing_is_waited_for_where_nothing_is_kept() -> None:
    assert UnwrittenTokens().close(within_s=3600) == 0


def test_a_token_is_given_up_when_its_time_is_over(world: World) -> None:
    now = [0.0]
    unwritten = UnwrittenTokens(pause=world.pause, monotonic=lambda: now[0])

    def write() -> bool:
        raise StoreUnavailableError

    with capture_logs() as logs:
        assert unwritten.write(world.stored(), write, within_s=900) is Written.NOT_YET
        world.pause.let_try(unwritten)
        assert unwritten.find("a1", "u1") is not None
        now[0] = 901
        world.pause.let_try(unwritten)
        assert unwritten.find("a1", "u1") is None

    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["token_lost"]


def test_a_fault_that_nobody_foresaw_does_not_end_the_writing(world: World) -> None:
    answers: list[Exception | None] = [RuntimeError("odd"), RuntimeError("odd"), None]
    unwritten = UnwrittenTokens(pause=world.pause)

    def write() -> bool:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return True

    with pytest.raises(RuntimeError):
        unwritten.write(world.stored(), write)
    world.pause.let_try(unwritten)
    world.pause.let_try(unwritten)

    assert unwritten.find("a1", "u1") is None
    assert answers == []


@pytest.mark.parametrize(("is_worth_it", "outcome"), [(True, Written.YES), (False, Written.WORTHLESS)])
def test_who_has_patience_hears_what_became_of_it(world: World, *, is_worth_it: bool, outcome: Written) -> None:
    unwritten, tries = UnwrittenTokens(pause=lambda _: None), count()

    def write() -> bool:
        if next(tries) < 2:
            raise StoreUnavailableError
        return is_worth_it

    assert unwritten.write(world.stored(), write, patience_s=30) is outcome


def test_of_one_account_the_newer_token_takes_the_olders_place(world: World) -> None:
    ended: list[str] = []
    world.worker().get("a1", "u1")
    world.unwritten.when_over("a1", "u1", lambda: ended.append("older"))

    assert world.unwritten.write(Token.missing("a1", "u1"), lambda: True) is Written.YES

    assert ended == ["older"]
    assert world.unwritten.find("a1", "u1") is None


def test_the_older_of_two_tokens_is_not_written_any_more(world: World) -> None:
    older_writes: list[None] = []
    world.go(away=False)

    def write_older() -> bool:
        older_writes.append(None)
        raise StoreUnavailableError

    def write_newer() -> bool:
        raise StoreUnavailableError

    for write in (write_older, write_newer):
        assert world.unwritten.write(Token.missing("a1", "u1"), write, within_s=0) is Written.NOT_YET
    for _ in range(2):
        world.let_write()

    assert len(older_writes) == 1
    assert world.unwritten.find("a1", "u1") is None
