"""TokenStore: the fake and the real one find tokens alike; the real one reads what other programs write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import mongomock
import pytest
from bson import Decimal128, Int64, ObjectId
from pydantic import SecretStr
from pymongo.errors import DuplicateKeyError

from tests.fakes.stores import InMemoryTokenStore
from worker.interfaces import TokenStore
from worker.mongo.connection import Document, MongoDatabase
from worker.mongo.tokens import COLLECTION, MongoTokenStore
from worker.tokens import RenewedToken, Token

MADE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECONDS = int(MADE.timestamp())
OBJECT_ID = "65a1b2c3d4e5f60718293a4b"
RENEWED = RenewedToken(
    access_token=SecretStr("new-access"),
    refresh_token=SecretStr("new-refresh"),
    expires_in_s=1800,
    generated_at=MADE + timedelta(hours=1),
)

Put = Callable[[Token], None]


def token_of(account_id: str = "a1", owner: str = "u1") -> Token:
    return Token(
        account_id=account_id,
        owner=owner,
        access_token=SecretStr(f"access-of-{account_id}-{owner}"),
        refresh_token=SecretStr("refresh"),
        generated_at=MADE,
        expires_in_s=1800.0,
    )


def document_of(**fields: Any) -> Document:  # noqa: ANN401 - whatever another program stores
    """Give a document as another program writes it; a field that is given as None is left out."""
    usual = {
        "account_id": "a1",
        "owner": "u1",
        "access_token": "access",
        "refresh_token": "refresh",
        "expires_in": 1800,
        "generated_at": MADE,
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


@pytest.fixture(params=["mongomock", "mongo"])
def database(request: pytest.FixtureRequest) -> MongoDatabase:
    database: MongoDatabase
    if request.param == "mongomock":
        database = mongomock.MongoClient(tz_aware=True).db
    else:
        database = request.getfixturevalue("mongo_database")
    return database


@pytest.fixture(params=["in memory", "mongomock", "mongo"])
def store_and_put(request: pytest.FixtureRequest) -> tuple[TokenStore, Put]:
    """Give a store, and a way to put a token into it from outside."""
    if request.param == "in memory":
        fake = InMemoryTokenStore()
        return fake, fake.put
    if request.param == "mongomock":
        database: MongoDatabase = mongomock.MongoClient(tz_aware=True).db
    else:
        database = request.getfixturevalue("mongo_database")

    def put(token: Token) -> None:
        assert token.access_token is not None
        assert token.refresh_token is not None
        ids = {"account_id": token.account_id, "owner": token.owner}
        access_token, refresh_token = token.access_token.get_secret_value(), token.refresh_token.get_secret_value()
        database[COLLECTION].insert_one(document_of(**ids, access_token=access_token, refresh_token=refresh_token))

    store = MongoTokenStore(database)
    store.ensure_indexes()
    return store, put


# What every store does


def test_a_token_is_found_by_account_and_owner_together(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    for account_id, owner in (("a1", "u1"), ("a1", "u2"), ("a2", "u1")):
        put(token_of(account_id, owner))

    assert store.find("a1", "u2") == token_of("a1", "u2")
    assert store.find("a2", "u1") == token_of("a2", "u1")
    assert store.find("a2", "u2") is None
    assert store.find("A1", "u1") is None
    assert store.find("", "") is None


def test_a_renewal_is_written_back_refresh_token_included(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    put(token_of())
    put(token_of("a2"))

    assert store.save_renewed(token_of(), RENEWED) is True

    assert store.find("a1", "u1") == Token(
        account_id="a1",
        owner="u1",
        access_token=RENEWED.access_token,
        refresh_token=RENEWED.refresh_token,
        generated_at=RENEWED.generated_at,
        expires_in_s=1800.0,
    )
    assert store.find("a2", "u1") == token_of("a2")


def test_a_renewal_does_not_replace_a_connection_made_meanwhile(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    connected_anew = replace(token_of(), refresh_token=SecretStr("another-refresh"))
    put(connected_anew)

    assert store.save_renewed(token_of(), RENEWED) is False
    assert store.find("a1", "u1") == connected_anew


def test_a_token_that_was_removed_meanwhile_does_not_come_back(store_and_put: tuple[TokenStore, Put]) -> None:
    store, _ = store_and_put

    store.save_renewed(token_of(), RENEWED)

    assert store.find("a1", "u1") is None


# What other programs write


@pytest.mark.parametrize("value", ["two words", "line\n", "\u20ac", ""])
def test_a_token_that_no_header_can_carry_counts_as_missing(database: MongoDatabase, value: str) -> None:
    database[COLLECTION].insert_one(document_of(access_token=value))
    token = MongoTokenStore(database).find("a1", "u1")
    assert token is not None
    assert token.access_token is None


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("42", "42"),
        (42, "42"),
        (Int64(42), "42"),
        (42.0, "42"),
        (0, "0"),
        (2**63 - 1, str(2**63 - 1)),
        (OBJECT_ID, OBJECT_ID),
        (ObjectId(OBJECT_ID), OBJECT_ID),
        ("$where", "$where"),
        ("a.b", "a.b"),
        ("ü😀", "ü😀"),
    ],
)
def test_ids_are_found_however_they_were_written(database: MongoDatabase, written: object, asked: str) -> None:
    database[COLLECTION].insert_one(document_of(account_id=written, owner=written))
    store = MongoTokenStore(database)

    found = store.find(asked, asked)
    assert found is not None
    assert (found.account_id, found.owner) == (asked, asked)

    store.save_renewed(found, RENEWED)
    (document,) = database[COLLECTION].find()
    assert (document["access_token"], document["account_id"]) == ("new-access", written)


@pytest.mark.parametrize("asked", ["042", " 42", "4 2", "42.0", "+42", "٤٢", "-42", str(2**64), "4" * 30])
def test_an_id_that_only_looks_like_the_number_is_another(database: MongoDatabase, asked: str) -> None:
    database[COLLECTION].insert_one(document_of(account_id=42, owner=42))

    assert MongoTokenStore(database).find(asked, asked) is None


@pytest.mark.parametrize(
    "written",
    [MADE, SECONDS, float(SECONDS), SECONDS * 1000, float(SECONDS * 1000), Int64(SECONDS * 1000), str(SECONDS)],
)
def test_the_moment_of_generation_is_read_in_every_spelling(database: MongoDatabase, written: object) -> None:
    database[COLLECTION].insert_one(document_of(generated_at=written))

    found = MongoTokenStore(database).find("a1", "u1")

    assert found is not None
    assert found.generated_at == MADE


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "yesterday",
        "",
        True,
        [SECONDS],
        {"$date": 1},
        1e300,
        float("inf"),
        float("nan"),
        ObjectId(OBJECT_ID),
        b"1",
    ],
)
def test_a_time_that_cannot_be_read_makes_the_token_end_not_the_reader(
    database: MongoDatabase, garbage: object
) -> None:
    database[COLLECTION].insert_one(document_of(generated_at=garbage))

    found = MongoTokenStore(database).find("a1", "u1")

    assert found is not None
    assert found.usable_access_token(at=MADE) is None
    assert found.refresh_token == SecretStr("refresh")


@pytest.mark.parametrize("garbage", [None, "soon", True, [], {}, float("nan"), float("inf"), 1e300])
def test_a_life_that_cannot_be_read_makes_the_token_end_not_the_reader(
    database: MongoDatabase, garbage: object
) -> None:
    database[COLLECTION].insert_one(document_of(expires_in=garbage))

    found = MongoTokenStore(database).find("a1", "u1")

    assert found is not None
    assert found.usable_access_token(at=MADE) is None


@pytest.mark.parametrize("written", [1800, 1800.0, Int64(1800), "1800"])
def test_a_life_is_read_in_every_spelling(database: MongoDatabase, written: object) -> None:
    database[COLLECTION].insert_one(document_of(expires_in=written))

    found = MongoTokenStore(database).find("a1", "u1")

    assert found is not None
    assert found.expires_in_s == 1800.0


@pytest.mark.parametrize("missing", [{"access_token": None}, {"access_token": ""}, {"access_token": 5}])
def test_without_an_access_token_the_refresh_token_is_still_there(
    database: MongoDatabase, missing: dict[str, object]
) -> None:
    database[COLLECTION].insert_one(document_of(**missing))

    found = MongoTokenStore(database).find("a1", "u1")

    assert found is not None
    assert (found.access_token, found.refresh_token) == (None, SecretStr("refresh"))


def test_fields_that_are_not_ours_stay_as_they_are(mongo_database: MongoDatabase) -> None:
    others = {
        "portal": {"a.b": 1, "$c": [1, {"$d": 2}]},
        "token_type": "bearer",
        "dotted.name": "x",
        "$dollar": "y",
        "decimal": Decimal128("1.10"),
        "": "nameless",
    }
    mongo_database[COLLECTION].insert_one(document_of(**others, _id="theirs"))
    store = MongoTokenStore(mongo_database)
    found = store.find("a1", "u1")
    assert found is not None

    store.save_renewed(found, RENEWED)

    assert mongo_database[COLLECTION].find_one() == {
        "_id": "theirs",
        "account_id": "a1",
        "owner": "u1",
        "access_token": "new-access",
        "refresh_token": "new-refresh",
        "expires_in": 1800,
        "generated_at": MADE + timedelta(hours=1),
        **others,
    }


# The index


def test_one_account_and_owner_have_one_token(mongo_database: MongoDatabase) -> None:
    store = MongoTokenStore(mongo_database)
    for _ in range(2):
        store.ensure_indexes()
    mongo_database[COLLECTION].insert_one(document_of())

    with pytest.raises(DuplicateKeyError):
        mongo_database[COLLECTION].insert_one(document_of())


def test_tokens_that_are_there_twice_already_are_no_reason_not_to_start(mongo_database: MongoDatabase) -> None:
    mongo_database[COLLECTION].insert_many([document_of(), document_of()])
    store = MongoTokenStore(mongo_database)

    store.ensure_indexes()

    assert store.find("a1", "u1") is not None
    assert mongo_database[COLLECTION].count_documents({}) == 2
