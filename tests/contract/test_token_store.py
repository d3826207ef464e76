"""TokenStore: the fake and the real one find tokens alike; the real one reads what others write, and encrypts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from cryptography.fernet import Fernet
from pydantic import SecretStr
from pymongo.errors import DuplicateKeyError

from tests.fakes.tokens import InMemoryTokenStore
from worker.accounts.encryption import TokenEncryption, is_encrypted
from worker.accounts.interfaces import TokenStore
from worker.accounts.mongo.tokens import COLLECTION, MongoTokenStore, TokenSurvey
from worker.accounts.token import RenewedToken, Token
from worker.errors import TokenUnreadableError
from worker.mongo.database import Document, MongoDatabase

MADE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECONDS = int(MADE.timestamp())
OBJECT_ID = "65a1b2c3d4e5f60718293a4b"
RENEWED = RenewedToken(
    access_token=SecretStr("new-access"),
    refresh_token=SecretStr("new-refresh"),
    expires_in_s=1800,
    generated_at=MADE + timedelta(hours=1),
)

OLD_KEY, NEW_KEY, STRANGE_KEY = (SecretStr(Fernet.generate_key().decode()) for _ in range(3))

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
    """Return a document as another program writes it; a field that is given as None is left out."""
    usual = {
        "account_id": "a1",
        "owner": "u1",
        "access_token": "access",
        "refresh_token": "refresh",
        "expires_in": 1800,
        "generated_at": MADE,
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


def found_in(store: TokenStore, account_id: str = "a1", owner: str = "u1") -> Token:
    token = store.find(account_id, owner)
    assert token is not None
    return token


def stored_in(database: MongoDatabase) -> Document:
    """Return the one document there is."""
    (document,) = database[COLLECTION].find()
    return document


@pytest.fixture
def database(mongo_database: MongoDatabase) -> MongoDatabase:
    return mongo_database


@pytest.fixture(params=["in memory", "mongo"])
def store_and_put(request: pytest.FixtureRequest) -> tuple[TokenStore, Put]:
    """Return a store, and a way to put a token into it from outside."""
    if request.param == "in memory":
        fake = InMemoryTokenStore()
        return fake, fake.put
    database: MongoDatabase = request.getfixturevalue("mongo_database")

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


def test_it_is_known_of_many_at_once_whose_token_is_stored(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    for account_id, owner in (("a1", "u1"), ("a1", "u2"), ("12", "7"), (OBJECT_ID, "u1")):
        put(token_of(account_id, owner))

    keys = [("a1", "u2"), ("12", "7"), (OBJECT_ID, "u1"), ("a2", "u1"), ("7", "12")]
    assert store.stored_among(keys) == {("a1", "u2"), ("12", "7"), (OBJECT_ID, "u1")}
    assert store.stored_among([]) == set()
    assert store.readable_among(keys) == {("a1", "u2"), ("12", "7"), (OBJECT_ID, "u1")}
    assert store.readable_among([]) == set()


def test_a_renewal_is_written_back_refresh_token_included(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    put(token_of())
    put(token_of("a2"))

    assert store.save_renewed(found_in(store), RENEWED) is True

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
    put(token_of())
    before = found_in(store)
    connected_anew = replace(RENEWED, refresh_token=SecretStr("another-refresh"))
    store.connect("a1", "u1", connected_anew)

    assert store.save_renewed(before, RENEWED) is False
    assert found_in(store).refresh_token == SecretStr("another-refresh")


def test_a_token_that_was_removed_meanwhile_does_not_come_back(store_and_put: tuple[TokenStore, Put]) -> None:
    store, _ = store_and_put

    assert store.save_renewed(token_of(), RENEWED) is False

    assert store.find("a1", "u1") is None


def test_connecting_stores_the_token_and_says_whether_it_is_the_first(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    put(token_of("a2"))

    assert [store.connect("a1", "u1", RENEWED), store.connect("a1", "u1", RENEWED)] == [True, False]

    assert found_in(store).refresh_token == RENEWED.refresh_token
    assert found_in(store).usable_access_token(at=RENEWED.generated_at) == RENEWED.access_token
    assert store.find("a2", "u1") == token_of("a2")


def test_connecting_again_replaces_whatever_is_there(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    put(token_of())

    assert store.connect("a1", "u1", RENEWED) is False

    assert found_in(store).refresh_token == RENEWED.refresh_token


def test_a_token_that_is_removed_is_gone_and_no_other_is(store_and_put: tuple[TokenStore, Put]) -> None:
    store, put = store_and_put
    for account_id, owner in (("a1", "u1"), ("a1", "u2"), ("a2", "u1")):
        put(token_of(account_id, owner))

    assert [store.remove("a1", "u1"), store.remove("a1", "u1"), store.remove("nobody", "u1")] == [True, False, False]

    assert store.find("a1", "u1") is None
    assert store.find("a1", "u2") == token_of("a1", "u2")
    assert store.find("a2", "u1") == token_of("a2", "u1")


def test_a_renewal_of_a_token_that_was_removed_meanwhile_writes_nothing(
    store_and_put: tuple[TokenStore, Put],
) -> None:
    store, put = store_and_put
    put(token_of())
    before = found_in(store)
    store.remove("a1", "u1")

    assert store.save_renewed(before, RENEWED) is False
    assert store.find("a1", "u1") is None


# At rest


def test_with_keys_no_token_is_written_in_plain_text(database: MongoDatabase) -> None:
    store = MongoTokenStore(database, TokenEncryption([NEW_KEY]))

    store.connect("a1", "u1", RENEWED)
    connected = stored_in(database)
    store.save_renewed(found_in(store), replace(RENEWED, access_token=SecretStr("newer-access")))

    for document in (connected, stored_in(database)):
        assert is_encrypted(document["access_token"])
        assert is_encrypted(document["refresh_token"])
    assert found_in(store).access_token == SecretStr("newer-access")
    assert found_in(store).refresh_token == RENEWED.refresh_token


def test_a_plain_token_is_read_and_encrypted_at_the_next_write(database: MongoDatabase) -> None:
    database[COLLECTION].insert_one(document_of(portal="EU"))
    store = MongoTokenStore(database, TokenEncryption([NEW_KEY]))
    found = found_in(store)
    assert (found.access_token, found.refresh_token) == (SecretStr("access"), SecretStr("refresh"))

    assert store.save_renewed(found, RENEWED) is True

    assert is_encrypted(stored_in(database)["refresh_token"])
    assert stored_in(database)["portal"] == "EU"
    assert found_in(store).refresh_token == RENEWED.refresh_token


def test_an_older_key_reads_and_the_newest_one_writes(database: MongoDatabase) -> None:
    MongoTokenStore(database, TokenEncryption([OLD_KEY])).connect("a1", "u1", RENEWED)
    between = MongoTokenStore(database, TokenEncryption([NEW_KEY, OLD_KEY]))

    assert between.save_renewed(found_in(between), RENEWED) is True

    after = MongoTokenStore(database, TokenEncryption([NEW_KEY]))
    assert found_in(after).access_token == RENEWED.access_token


def test_a_renewal_loses_to_a_connection_made_meanwhile_encrypted_or_not(database: MongoDatabase) -> None:
    store = MongoTokenStore(database, TokenEncryption([NEW_KEY]))
    store.connect("a1", "u1", RENEWED)
    before = found_in(store)
    store.connect("a1", "u1", RENEWED)  # the same tokens, but what is stored differs: Fernet never repeats itself

    assert store.save_renewed(before, replace(RENEWED, access_token=SecretStr("newer-access"))) is False
    assert found_in(store).access_token == RENEWED.access_token


@pytest.mark.parametrize("keys", [[], [STRANGE_KEY]])
def test_a_token_without_its_key_is_an_error_that_names_the_setting_and_no_value(
    database: MongoDatabase, keys: list[SecretStr]
) -> None:
    MongoTokenStore(database, TokenEncryption([OLD_KEY])).connect("a1", "u1", RENEWED)
    store = MongoTokenStore(database, TokenEncryption(keys))

    with pytest.raises(TokenUnreadableError) as refused:
        store.find("a1", "u1")

    assert "TOKEN_ENCRYPTION_KEYS" in refused.value.message
    assert "gAAAAA" not in refused.value.message
    assert refused.value.__cause__ is None


def test_an_account_whose_key_is_lost_can_be_connected_again(database: MongoDatabase) -> None:
    MongoTokenStore(database, TokenEncryption([STRANGE_KEY])).connect("a1", "u1", RENEWED)
    store = MongoTokenStore(database, TokenEncryption([NEW_KEY]))

    assert store.connect("a1", "u1", RENEWED) is False

    assert found_in(store).refresh_token == RENEWED.refresh_token


@pytest.mark.parametrize("written", ["gAAAAA", "gAAAAAé", "gAAAAA" + "A" * 90])
def test_what_only_looks_encrypted_is_unreadable_and_no_bug(database: MongoDatabase, written: str) -> None:
    database[COLLECTION].insert_one(document_of(refresh_token=written))

    with pytest.raises(TokenUnreadableError):
        MongoTokenStore(database, TokenEncryption([NEW_KEY])).find("a1", "u1")
    assert MongoTokenStore(database, TokenEncryption([NEW_KEY])).readable_among([("a1", "u1")]) == set()


def test_a_survey_counts_what_is_plain_and_what_no_key_reads(database: MongoDatabase) -> None:
    for number, key in enumerate([OLD_KEY, STRANGE_KEY]):
        MongoTokenStore(database, TokenEncryption([key])).connect(f"a{number}", "u1", RENEWED)
    half = {"refresh_token": TokenEncryption([NEW_KEY]).encrypt(SecretStr("refresh"))}
    database[COLLECTION].insert_many(
        [document_of(account_id="a2", **half), document_of(account_id="a3", access_token=5)]
    )
    survey = MongoTokenStore(database, TokenEncryption([NEW_KEY, OLD_KEY])).survey(most=10)

    assert survey == TokenSurvey(looked_at=4, in_plain_text=2, unreadable=1)
    assert MongoTokenStore(database).survey(most=10) == TokenSurvey(looked_at=4, in_plain_text=2, unreadable=3)
    assert MongoTokenStore(database).survey(most=1).looked_at == 1


@pytest.mark.parametrize(
    ("plain", "encrypted"), [(set(), True), ({"access_token"}, False), ({"access_token", "refresh_token"}, False)]
)
def test_a_token_says_whether_all_of_it_lies_there_encrypted(
    database: MongoDatabase,
    plain: set[str],
    encrypted: bool,  # noqa: FBT001 - the expected value
) -> None:
    store = MongoTokenStore(database, TokenEncryption([NEW_KEY]))
    store.connect("a1", "u1", RENEWED)
    database[COLLECTION].update_one(
        {}, {"$set": dict.fromkeys(plain, "in-plain-text")} if plain else {"$set": {"x": 1}}
    )

    assert found_in(store).is_encrypted is encrypted


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
    assert store.stored_among([(asked, asked), ("other", asked)]) == {(asked, asked)}

    store.save_renewed(found, RENEWED)
    (document,) = database[COLLECTION].find()
    assert (document["access_token"], document["account_id"]) == ("new-access", written)


@pytest.mark.parametrize("odd", [["a1"], Decimal128("7")])
def test_an_id_that_no_program_writes_keeps_no_other_token_from_being_found(
    mongo_database: MongoDatabase, odd: object
) -> None:
    mongo_database[COLLECTION].insert_many([document_of(account_id=odd), document_of(account_id="a2")])

    stored = MongoTokenStore(mongo_database).stored_among([("a1", "u1"), ("7", "u1"), ("a2", "u1")])

    assert stored == {("a2", "u1")}


def test_a_removal_finds_ids_however_they_were_written_twice_over(database: MongoDatabase) -> None:
    database[COLLECTION].insert_many([document_of(account_id=each, owner="7") for each in (42, "42", "042")])

    assert MongoTokenStore(database).remove("42", "7") is True

    assert [document["account_id"] for document in database[COLLECTION].find()] == ["042"]


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
    mongo_database.drop_collection(COLLECTION)  # and the index that forbids it
    mongo_database[COLLECTION].insert_many([document_of(), document_of()])
    store = MongoTokenStore(mongo_database)

    store.ensure_indexes()

    assert store.find("a1", "u1") is not None
    assert mongo_database[COLLECTION].count_documents({}) == 2
