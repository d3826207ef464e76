"""ConnectStates: a state says for whom, is good for ten minutes, and nobody else can make one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from api_shim.services.connect_state import LIFE, ConnectStates
from tests.fakes.clock import ManualClock
from worker.errors import InvalidRequestError

SECRET = SecretStr("a secret of the links to HubSpot")
NOT_OURS = "state: is not one that /connect gave out; begin again at /connect"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def states(clock: ManualClock) -> ConnectStates:
    return ConnectStates(SECRET, clock=clock)


@pytest.mark.parametrize(("account_id", "owner"), [("a1", "u1"), ("ü😀" * 64, "$where"), ("42", "")])
def test_a_state_says_for_whom(states: ConnectStates, account_id: str, owner: str) -> None:
    read = states.read(states.issue(account_id, owner))

    assert (read.account_id, read.owner) == (account_id, owner)


def test_no_two_states_are_the_same(states: ConnectStates) -> None:
    issued = [states.issue("a1", "u1") for _ in range(20)]

    assert len(set(issued)) == len({states.read(each).nonce for each in issued}) == 20


def test_a_state_shows_nothing_of_what_it_says(states: ConnectStates) -> None:
    state = states.issue("account-of-somebody", "user-of-somebody")

    assert "somebody" not in state
    assert state.isascii()


def test_a_state_is_good_for_ten_minutes(states: ConnectStates, clock: ManualClock) -> None:
    state = states.issue("a1", "u1")
    clock.advance(LIFE.total_seconds())
    assert states.read(state).account_id == "a1"

    clock.advance(1)

    with pytest.raises(InvalidRequestError, match="older than 10 minutes; begin again"):
        states.read(state)


def test_every_shim_with_the_secret_reads_it_and_none_without(states: ConnectStates, clock: ManualClock) -> None:
    state = states.issue("a1", "u1")

    assert ConnectStates(SECRET, clock=clock).read(state).owner == "u1"
    with pytest.raises(InvalidRequestError, match=NOT_OURS):
        ConnectStates(SecretStr("another"), clock=clock).read(state)


def test_the_secret_itself_is_no_key_to_states(states: ConnectStates, clock: ManualClock) -> None:
    """A state must be nothing but a state, whatever else is signed with the secret, and the reverse."""
    key = Fernet.generate_key()
    forged = Fernet(key).encrypt(b'{"account_id":"a1","owner":"u1","nonce":"x"}').decode()

    with pytest.raises(InvalidRequestError, match=NOT_OURS):
        ConnectStates(SecretStr(key.decode()), clock=clock).read(forged)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s[:100] + "AA" + s[102:], lambda s: "A" + s[1:], lambda s: s.upper()]
)
def test_a_state_that_was_tampered_with_is_none(states: ConnectStates, change: object) -> None:
    assert callable(change)
    with pytest.raises(InvalidRequestError, match=NOT_OURS):
        states.read(change(states.issue("a1", "u1")))


@pytest.mark.parametrize("text", ["x", "é", "\ud800", "gAAAAA", "a" * 100_000, "eyJhbGciOiJub25lIn0.e30."])
def test_what_never_was_a_state_is_refused_in_the_same_words(states: ConnectStates, text: str) -> None:
    with pytest.raises(InvalidRequestError, match=NOT_OURS):
        states.read(text)


def test_a_state_from_a_shim_whose_clock_is_far_ahead_is_refused(states: ConnectStates, clock: ManualClock) -> None:
    clock.advance(timedelta(minutes=5).total_seconds())
    state = states.issue("a1", "u1")
    clock.advance(-timedelta(minutes=5).total_seconds())

    with pytest.raises(InvalidRequestError, match="state: "):
        states.read(state)
