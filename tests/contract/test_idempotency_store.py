"""IdempotencyStore: the fake and the real one keep the first request under a key, for one user, for a day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.idempotency import InMemoryIdempotencyStore
from tests.patience import PATIENCE_S
from worker.lifecycle.idempotency import KeptRequest, KeyedRequest
from worker.lifecycle.interfaces import IdempotencyStore
from worker.lifecycle.mongo.idempotency import COLLECTION, MongoIdempotencyStore
from worker.mongo.database import MongoDatabase

ASKED = KeyedRequest(account_id="a1", owner="u1", key="k1", fingerprint="f1")
OTHERS = [
    replace(ASKED, account_id="a2"),
    replace(ASKED, owner="u2"),
    replace(ASKED, key="k2"),
    replace(ASKED, key="K1"),
    replace(ASKED, account_id="u1", owner="a1"),
    replace(ASKED, account_id="a1u1", owner=""),
    replace(ASKED, key="$k1.x"),
]


@pytest.fixture(params=["in memory", "mongo"])
def store(request: pytest.FixtureRequest) -> IdempotencyStore:
    if request.param == "in memory":
        return InMemoryIdempotencyStore(ManualClock())
    return MongoIdempotencyStore(request.getfixturevalue("mongo_database"))


def test_the_first_request_is_kept_and_every_later_one_is_told_of_it(store: IdempotencyStore) -> None:
    first = KeptRequest(job_id="j1", fingerprint="f1", is_accepted=False)
    assert store.find(ASKED) is None

    assert store.keep(ASKED, job_id="j1") == first

    another = replace(ASKED, fingerprint="f2")
    assert store.keep(ASKED, job_id="j2") == store.keep(another, job_id="j3") == store.find(another) == first


def test_that_its_job_was_stored_is_remembered(store: IdempotencyStore) -> None:
    store.keep(ASKED, job_id="j1")

    for _ in range(2):
        store.mark_accepted(ASKED)

    accepted = KeptRequest(job_id="j1", fingerprint="f1", is_accepted=True)
    assert store.find(ASKED) == store.keep(ASKED, job_id="j2") == accepted


def test_what_is_kept_no_more_cannot_be_accepted(store: IdempotencyStore) -> None:
    store.mark_accepted(ASKED)

    assert store.find(ASKED) is None


@pytest.mark.parametrize("other", OTHERS)
def test_a_key_belongs_to_one_user_of_one_account(store: IdempotencyStore, other: KeyedRequest) -> None:
    store.keep(ASKED, job_id="j1")
    store.mark_accepted(ASKED)

    assert store.find(other) is None
    assert store.keep(other, job_id="j2") == KeptRequest(job_id="j2", fingerprint="f1", is_accepted=False)


def test_texts_from_outside_are_kept_as_they_are(store: IdempotencyStore) -> None:
    strange = KeyedRequest(account_id="$a", owner="é😀", key='"$$NOW".{}', fingerprint="$fingerprint")

    assert store.keep(strange, job_id="$job_id") == KeptRequest(
        job_id="$job_id", fingerprint="$fingerprint", is_accepted=False
    )


def test_of_several_requests_those_are_kept_whose_keys_are_new(store: IdempotencyStore) -> None:
    earlier, new = replace(ASKED, key="earlier"), replace(ASKED, key='"$$NOW".{}')
    store.keep(earlier, job_id="j1")
    at = datetime.now(UTC)

    assert set(store.keep_new({"j2": earlier, "j3": new, "j4": new}, at=at)) == {"j3"}
    store.mark_all_accepted([new])

    assert store.find(earlier) == KeptRequest(job_id="j1", fingerprint="f1", is_accepted=False)
    assert store.find(new) == KeptRequest(job_id="j3", fingerprint="f1", is_accepted=True)


def test_of_many_at_once_one_is_the_first(store: IdempotencyStore) -> None:
    together = Barrier(16)

    def keep(number: int) -> str:
        together.wait(timeout=PATIENCE_S)
        return store.keep(ASKED, job_id=f"j{number}").job_id

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(keep, range(16)))) == 1


def test_a_key_is_kept_for_a_day_from_its_first_use_on() -> None:
    clock = ManualClock()
    store = InMemoryIdempotencyStore(clock)
    store.keep(ASKED, job_id="j1")
    clock.advance(24 * 3600 - 1)
    assert store.keep(ASKED, job_id="j2").job_id == "j1"

    clock.advance(1)

    assert store.keep(ASKED, job_id="j3").job_id == "j3"


def test_mongodb_removes_a_key_a_day_after_its_first_use(mongo_database: MongoDatabase) -> None:
    store = MongoIdempotencyStore(mongo_database)
    for _ in range(2):
        store.ensure_indexes()
    began = datetime.now(UTC)

    store.keep(ASKED, job_id="j1")
    (first,) = mongo_database[COLLECTION].find()
    store.keep(ASKED, job_id="j2")
    store.mark_accepted(ASKED)
    (later,) = mongo_database[COLLECTION].find()

    indexes = mongo_database[COLLECTION].index_information().values()
    assert [index["expireAfterSeconds"] for index in indexes if index["key"] == [("expires_at", 1)]] == [0]
    assert timedelta(hours=24, seconds=-1) < first["expires_at"] - began < timedelta(hours=24, minutes=5)
    assert later["expires_at"] == first["expires_at"]


def test_what_is_kept_with_others_looks_like_what_is_kept_alone(mongo_database: MongoDatabase) -> None:
    store, another = MongoIdempotencyStore(mongo_database), replace(ASKED, key="k2")
    at = datetime(2026, 11, 23, 15, tzinfo=UTC)

    store.keep(ASKED, job_id="j1")
    store.keep_new({"j2": another}, at=at)

    alone, grouped = mongo_database[COLLECTION].find(sort=[("job_id", 1)])
    assert grouped == {
        **alone,
        "_id": {**alone["_id"], "key": "k2"},
        "job_id": "j2",
        "expires_at": at + timedelta(days=1),
    }
