"""ConnectionStore: the fake and the real one keep what HubSpot said of connections, each for its own token."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from tests.contract.stores import present
from tests.fakes.connections import InMemoryConnectionStore
from worker.accounts.connection import Connection, Fingerprint, Refusal, TokenInfo
from worker.accounts.interfaces import ConnectionStore
from worker.accounts.mongo.connections import COLLECTION, MongoConnectionStore
from worker.accounts.token import RenewedToken
from worker.mongo.database import MongoDatabase

FACTS = TokenInfo(hub_id=2**40, user_id=7, user="someone@example.test", scopes=("oauth", "content"))
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture(params=["in memory", "mongo"])
def store(request: pytest.FixtureRequest) -> ConnectionStore:
    if request.param == "in memory":
        return InMemoryConnectionStore()
    return MongoConnectionStore(request.getfixturevalue("mongo_database"))


def fingerprint(refresh: str = "refresh", access: str = "access") -> Fingerprint:
    return Fingerprint.of(
        RenewedToken(
            refresh_token=SecretStr(refresh), access_token=SecretStr(access), expires_in_s=1800, generated_at=NOW
        )
    )


def refusal(token: Fingerprint | None = None, *, at: datetime = NOW) -> Refusal:
    given = token or fingerprint()
    return Refusal(reason="$revoked.", since=at, asked_at=at, token=given.token, client_id="$app")


def learn(store: ConnectionStore, facts: TokenInfo = FACTS, token: Fingerprint | None = None) -> None:
    store.learn("a1", "u1", facts, fingerprint=token or fingerprint(), at=NOW)


def found_in(store: ConnectionStore, account_id: str = "a1", owner: str = "u1") -> Connection:
    found = store.find(account_id, owner)
    assert found is not None
    return found


def test_of_a_connection_that_nobody_asked_about_nothing_is_known(store: ConnectionStore) -> None:
    assert store.find("a1", "u1") is None


def test_what_hubspot_said_is_kept(store: ConnectionStore) -> None:
    learn(store)

    assert store.find("a1", "u1") == Connection(
        account_id="a1", owner="u1", facts=FACTS, fingerprint=fingerprint(), checked_at=NOW
    )


@pytest.mark.parametrize(("account_id", "owner"), [("a1", "u2"), ("a2", "u1"), ("u1", "a1"), ("$a1", "u.1")])
def test_each_account_and_owner_have_their_own(store: ConnectionStore, account_id: str, owner: str) -> None:
    learn(store)
    store.refuse("a1", "u1", refusal())

    assert store.find(account_id, owner) is None
    store.remove(account_id, owner)
    store.accept(account_id, owner)
    assert found_in(store).refusal is not None


def test_what_a_renewal_does_not_say_stays_known_of_the_same_grant(store: ConnectionStore) -> None:
    learn(store)
    renewed = fingerprint(access="newer")

    store.learn("a1", "u1", TokenInfo(scopes=()), fingerprint=renewed, at=LATER)

    assert found_in(store).facts == replace(FACTS, scopes=())
    assert (found_in(store).fingerprint, found_in(store).checked_at) == (renewed, LATER)


def test_nothing_is_carried_over_to_another_grant(store: ConnectionStore) -> None:
    learn(store)

    learn(store, TokenInfo(hub_id=3), fingerprint(refresh="other"))

    assert found_in(store).facts == TokenInfo(hub_id=3)


def test_a_refusal_is_kept_beside_what_is_known(store: ConnectionStore) -> None:
    learn(store)

    store.refuse("a1", "u1", refusal())

    assert (found_in(store).refusal, found_in(store).facts) == (refusal(), FACTS)


def test_a_refusal_may_be_the_first_that_is_known(store: ConnectionStore) -> None:
    store.refuse("a1", "u1", refusal())

    assert store.find("a1", "u1") == Connection(account_id="a1", owner="u1", refusal=refusal())


def test_a_second_refusal_of_a_token_keeps_its_beginning_and_that_of_another_does_not(store: ConnectionStore) -> None:
    store.refuse("a1", "u1", refusal())
    store.refuse("a1", "u1", replace(refusal(at=LATER), reason="still"))
    assert found_in(store).refusal == replace(refusal(), asked_at=LATER, reason="still")

    store.refuse("a1", "u1", refusal(fingerprint(refresh="other"), at=LATER))
    assert found_in(store).refusal == refusal(fingerprint(refresh="other"), at=LATER)


def test_a_refusal_ends_when_hubspot_takes_the_token(store: ConnectionStore) -> None:
    learn(store)
    store.refuse("a1", "u1", refusal())

    store.accept("a1", "u1")

    assert (found_in(store).refusal, found_in(store).facts) == (None, FACTS)


def test_a_refusal_ends_when_hubspot_tells_about_the_token(store: ConnectionStore) -> None:
    store.refuse("a1", "u1", refusal())

    learn(store)

    assert found_in(store).refusal is None


def test_to_ask_again_leaves_the_refusal_and_forgets_when_it_was_asked(store: ConnectionStore) -> None:
    store.refuse("a1", "u1", refusal())

    store.ask_again("a1", "u1")
    store.ask_again("a1", "nobody")

    assert found_in(store).refusal == replace(refusal(), asked_at=None)
    assert store.find("a1", "nobody") is None


def test_where_nothing_was_refused_there_is_nothing_to_ask_again(store: ConnectionStore) -> None:
    learn(store)

    store.ask_again("a1", "u1")

    assert found_in(store).refusal is None


def test_a_refusal_is_forgotten_only_as_it_was_found(store: ConnectionStore) -> None:
    store.refuse("a1", "u1", refusal())
    found = found_in(store)
    newer = refusal(fingerprint(refresh="other"))
    store.refuse("a1", "u1", newer)

    store.forget(found)
    assert found_in(store).refusal == newer

    store.forget(found_in(store))
    assert found_in(store).refusal is None
    store.forget(found_in(store))


def test_a_connection_that_is_removed_is_unknown(store: ConnectionStore) -> None:
    learn(store)

    for _ in range(2):
        store.remove("a1", "u1")

    assert store.find("a1", "u1") is None


def test_those_that_were_refused_are_listed_the_first_ones_first(store: ConnectionStore) -> None:
    learn(store)
    for number in (3, 1, 2):
        store.refuse("a2", f"u{number}", refusal(at=NOW + timedelta(minutes=number)))
    store.refuse("a2", "u4", refusal(at=NOW))
    store.accept("a2", "u4")

    assert [each.owner for each in store.list_refused(most=10)] == ["u1", "u2", "u3"]
    assert [each.owner for each in store.list_refused(most=2)] == ["u1", "u2"]


# The documents


def test_no_token_is_in_the_document(mongo_database: MongoDatabase) -> None:
    store = MongoConnectionStore(mongo_database)
    learn(store, token=fingerprint("refresh-secret", "access-secret"))
    store.refuse("a1", "u1", refusal(fingerprint("refresh-secret", "access-secret")))

    assert "-secret" not in str(mongo_database[COLLECTION].find_one())


def test_mongodb_removes_what_nobody_has_touched_for_three_months(mongo_database: MongoDatabase) -> None:
    store = MongoConnectionStore(mongo_database)
    for _ in range(2):
        store.ensure_indexes()
    learn(store)

    indexes = mongo_database[COLLECTION].index_information()
    ttl = [index["expireAfterSeconds"] for index in indexes.values() if index["key"] == [("updated_at", 1)]]

    assert ttl == [90 * 86_400]
    document = mongo_database[COLLECTION].find_one()
    assert document is not None
    assert abs(document["updated_at"] - present()) < timedelta(minutes=1)


def test_those_that_were_refused_are_known_among_many(store: ConnectionStore) -> None:
    for owner in ("u1", "u2", "u3"):
        store.refuse("a1", owner, refusal())
    store.accept("a1", "u2")
    learn(store, token=fingerprint())

    keys = [("a1", "u1"), ("a1", "u2"), ("a1", "u3"), ("a2", "u3")]
    assert {(each.account_id, each.owner) for each in store.refused_among(keys)} == {("a1", "u3")}
    assert store.refused_among([]) == []
