"""RpcRequestStore: the fake and the real one hand each errand to one who goes, and keep no secret for longer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.errands import InMemoryRpcRequestStore
from tests.patience import PATIENCE_S
from worker.accounts.connection import HubSpotFacts
from worker.accounts.encryption import TokenEncryption
from worker.errors import CodeRefusedError, TokenUnreadableError
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobError
from worker.mongo.database import MongoDatabase
from worker.rate_limit.quota import Rate
from worker.records.types import ExportType
from worker.rpc.interfaces import RpcRequestStore
from worker.rpc.mongo.requests import COLLECTION, MongoRpcRequestStore
from worker.rpc.requests import (
    Answer,
    Connected,
    ExchangeCode,
    ExportPlan,
    Plan,
    PlanExports,
    PlannedExport,
    RpcRequest,
)

CODE = SecretStr("the-authorisation-code")
REQUEST = ExportRequest(limit=7, page_size=100, offset="x", params=(("a.$b", "1"), ("a.$b", "2"), ("", "ü😀")))
PLAN = Plan(
    exports=(
        ExportPlan(
            export_type=ExportType.DEALS,
            request=REQUEST,
            estimate=Estimate(
                records=7, calls=1, seconds=0.5, basis=Basis.HUBSPOT, as_of=datetime(2026, 11, 23, tzinfo=UTC)
            ),
            missing_scopes=("crm.objects.deals.read",),
        ),
        ExportPlan(export_type=ExportType.NOTES, request=REQUEST, estimate=None, missing_scopes=None),
    ),
    rate=Rate(110, 10.0),
    facts=HubSpotFacts(hub_id=62515, scopes=("oauth", "content")),
)
REFUSED = CodeRefusedError("code: no", status=400, body={"a.b": {"$c": [1.5, None, "é"]}}, details="again")
ANSWERS: list[Answer] = [
    Connected(facts=HubSpotFacts(hub_id=1, user_id=2, user="someone@example.test", scopes=())),
    Connected(facts=HubSpotFacts()),
    PLAN,
    replace(PLAN, rate=None, exports=()),
    JobError.of(REFUSED),
]

_numbers = count(1)


@dataclass(frozen=True)
class World:
    """A store, and a way to let time pass for it at once."""

    store: RpcRequestStore
    let_pass: Callable[[float], None]


def in_mongo(database: MongoDatabase, encryption: TokenEncryption | None = None) -> World:
    """Nobody moves a server's clock, so what is stored is moved into the past instead."""

    def let_pass(seconds: float) -> None:
        earlier = {"$subtract": ["$expires_at", int(seconds * 1000)]}
        database[COLLECTION].update_many({}, [{"$set": {"expires_at": earlier}}])

    return World(MongoRpcRequestStore(database, encryption or TokenEncryption()), let_pass)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        clock = ManualClock(present())
        return World(InMemoryRpcRequestStore(clock), clock.advance)
    return in_mongo(request.getfixturevalue("mongo_database"))


def new_errand(**changes: object) -> RpcRequest:
    errand = RpcRequest(
        errand_id=f"errand-{next(_numbers)}",
        account_id="a1",
        owner="u1",
        question=ExchangeCode(redirect_uri="https://app.example.test/callback?a=1"),
        created_at=present(),
        secret=CODE,
    )
    return replace(errand, **changes)  # type: ignore[arg-type]  # a test names fields that exist


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"secret": None, "account_id": "$a.b", "owner": "ü😀"},
        {
            "secret": None,
            "question": PlanExports(
                exports=(
                    PlannedExport(export_type=ExportType.DEALS, request=REQUEST),
                    PlannedExport(export_type=ExportType.NOTES, request=ExportRequest(page_size=250, offset=2**62)),
                )
            ),
        },
    ],
)
def test_an_errand_is_given_as_it_was_stored(world: World, changes: dict[str, object]) -> None:
    errand = new_errand(**changes)
    assert world.store.add(errand) is True

    assert world.store.take(errand.errand_id) == errand


def test_an_errand_is_taken_once(world: World) -> None:
    errand = new_errand()
    world.store.add(errand)

    assert [world.store.take(errand.errand_id) for _ in range(2)] == [errand, None]


def test_of_many_who_would_go_at_once_one_does(world: World) -> None:
    errand, together = new_errand(), Barrier(8)
    world.store.add(errand)

    def take(_: int) -> RpcRequest | None:
        together.wait(timeout=PATIENCE_S)
        return world.store.take(errand.errand_id)

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, range(8)))

    assert [each for each in taken if each is not None] == [errand]


def test_an_id_is_good_for_one_errand_and_what_became_of_it_stays(world: World) -> None:
    errand = new_errand()
    world.store.add(errand)

    assert world.store.add(replace(errand, account_id="a2")) is False
    world.store.take(errand.errand_id)
    assert world.store.add(errand) is False
    world.store.answer(errand.errand_id, ANSWERS[0])
    assert world.store.add(errand) is False

    assert world.store.answer_to(errand.errand_id) == ANSWERS[0]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_given_as_it_was_stored(world: World, answer: Answer) -> None:
    errand = new_errand()
    world.store.add(errand)
    world.store.take(errand.errand_id)
    assert world.store.answer_to(errand.errand_id) is None

    world.store.answer(errand.errand_id, answer)

    assert world.store.answer_to(errand.errand_id) == answer


def test_of_an_unknown_errand_there_is_no_answer_and_nothing_to_take(world: World) -> None:
    assert world.store.take("unknown") is None
    assert world.store.answer_to("unknown") is None
    assert world.store.withdraw("unknown") is False
    world.store.answer("unknown", ANSWERS[0])
    assert world.store.answer_to("unknown") is None


def test_an_errand_that_is_withdrawn_is_nobodys_any_more(world: World) -> None:
    errand = new_errand()
    world.store.add(errand)

    assert world.store.withdraw(errand.errand_id) is True

    assert world.store.take(errand.errand_id) is None
    assert world.store.add(errand) is True


def test_an_errand_that_someone_has_taken_cannot_be_withdrawn(world: World) -> None:
    errand = new_errand()
    world.store.add(errand)
    world.store.take(errand.errand_id)

    assert world.store.withdraw(errand.errand_id) is False

    world.store.answer(errand.errand_id, ANSWERS[0])
    assert world.store.answer_to(errand.errand_id) == ANSWERS[0]


def test_after_a_quarter_of_an_hour_nobody_goes_any_more(world: World) -> None:
    early, late = new_errand(), new_errand()
    world.store.add(early)
    world.store.add(late)

    world.let_pass(timedelta(minutes=14).total_seconds())
    assert world.store.take(early.errand_id) == early
    world.let_pass(timedelta(minutes=1, seconds=1).total_seconds())

    assert world.store.take(late.errand_id) is None


# The documents


def test_a_secret_is_gone_from_the_moment_the_errand_is_taken(mongo_database: MongoDatabase) -> None:
    store, errand = in_mongo(mongo_database).store, new_errand()
    store.add(errand)
    assert CODE.get_secret_value() in str(mongo_database[COLLECTION].find_one())

    store.take(errand.errand_id)
    store.answer(errand.errand_id, ANSWERS[0])

    assert CODE.get_secret_value() not in str(mongo_database[COLLECTION].find_one())


def test_with_keys_a_secret_is_encrypted_until_then(mongo_database: MongoDatabase) -> None:
    key = SecretStr(Fernet.generate_key().decode())
    store, errand = in_mongo(mongo_database, TokenEncryption([key])).store, new_errand()
    store.add(errand)

    assert CODE.get_secret_value() not in str(mongo_database[COLLECTION].find_one())
    assert store.take(errand.errand_id) == errand


def test_a_worker_without_the_key_says_so_by_name(mongo_database: MongoDatabase) -> None:
    key = SecretStr(Fernet.generate_key().decode())
    errand = new_errand()
    in_mongo(mongo_database, TokenEncryption([key])).store.add(errand)

    with pytest.raises(TokenUnreadableError):
        in_mongo(mongo_database).store.take(errand.errand_id)


def test_a_secret_that_looks_encrypted_is_taken_for_what_it_is(mongo_database: MongoDatabase) -> None:
    store, errand = in_mongo(mongo_database).store, replace(new_errand(), secret=SecretStr("gAAAAAxyz"))
    store.add(errand)

    assert store.take(errand.errand_id) == errand


def test_mongodb_removes_errands_that_are_over(mongo_database: MongoDatabase) -> None:
    store = MongoRpcRequestStore(mongo_database)
    for _ in range(2):
        store.ensure_indexes()

    indexes = mongo_database[COLLECTION].index_information()

    assert [index["expireAfterSeconds"] for index in indexes.values() if index["key"] == [("expires_at", 1)]] == [0]


def test_errands_with_an_answer_are_found_among_others(world: World) -> None:
    answered, taken, new = new_errand(), new_errand(), new_errand()
    for errand in (answered, taken, new):
        world.store.add(errand)
    world.store.take(answered.errand_id)
    world.store.take(taken.errand_id)
    world.store.answer(answered.errand_id, ANSWERS[0])

    found = world.store.answered_among([answered.errand_id, taken.errand_id, new.errand_id, "unknown"])

    assert found == {answered.errand_id}
