"""RpcRequestStore: the fake and the real one hand each RPC request to one who goes, and keep no secret for longer."""

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
from tests.fakes.rpc_requests import InMemoryRpcRequestStore
from tests.patience import PATIENCE_S
from worker.accounts.connection import TokenInfo
from worker.accounts.encryption import TokenEncryption
from worker.definitions.definition import CustomType, Option, Owner, Pipeline, PropertyDefinition, Stage, Team
from worker.definitions.lists import Listed, ListKind
from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions
from worker.errors import CodeRefusedError, TokenUnreadableError
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobError
from worker.mongo.database import MongoDatabase
from worker.rate_limit.quota import Rate
from worker.records.types import DEALS, NOTES
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
            export_type=DEALS,
            request=REQUEST,
            estimate=Estimate(
                records=7, calls=1, seconds=0.5, basis=Basis.HUBSPOT, as_of=datetime(2026, 11, 23, tzinfo=UTC)
            ),
            missing_scopes=("crm.objects.deals.read",),
        ),
        ExportPlan(export_type=NOTES, request=REQUEST, estimate=None, missing_scopes=None),
    ),
    rate=Rate(110, 10.0),
    facts=TokenInfo(hub_id=62515, scopes=("oauth", "content")),
)
REFUSED = CodeRefusedError("code: no", status=400, body={"a.b": {"$c": [1.5, None, "é"]}}, details="again")
ANSWERS: list[Answer] = [
    Connected(facts=TokenInfo(hub_id=1, user_id=2, user="someone@example.test", scopes=())),
    Connected(facts=TokenInfo()),
    PLAN,
    replace(PLAN, rate=None, exports=()),
    JobError.of(REFUSED),
    Defined(listed=Listed(owners=(Owner(id="7", email="ü@example.test", teams=(Team(id="1", name="$a.b"),)),))),
    Defined(
        listed=Listed(
            properties=(PropertyDefinition(name="a", options=(Option(value="1", label="One"),), kinds=("NOTE",)),),
            custom_types=(CustomType(name="p1_a", type_id="2-1", short_name="a"),),
            pipelines=(Pipeline(id="p", stages=(Stage(id="s", metadata={"a.b": "$c"}),)),),
        )
    ),
    Defined(listed=Listed(refused="no", status=403)),
    CheckedProperties(unknown={"a.$b": ("a", "b"), "c": ()}),
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


def new_rpc_request(**changes: object) -> RpcRequest:
    rpc_request = RpcRequest(
        rpc_id=f"errand-{next(_numbers)}",
        account_id="a1",
        owner="u1",
        question=ExchangeCode(redirect_uri="https://app.example.test/callback?a=1"),
        created_at=present(),
        secret=CODE,
    )
    return replace(rpc_request, **changes)  # type: ignore[arg-type]  # a test names fields that exist


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"secret": None, "account_id": "$a.b", "owner": "ü😀"},
        {"secret": None, "question": ListDefinitions(kind=ListKind.OWNERS)},
        {"secret": None, "question": ListDefinitions(kind=ListKind.PROPERTIES, export_type=DEALS)},
        {"secret": None, "question": CheckProperties(export_type=DEALS, names=("a", "$b.c"))},
        {
            "secret": None,
            "question": PlanExports(
                exports=(
                    PlannedExport(export_type=DEALS, request=REQUEST),
                    PlannedExport(export_type=NOTES, request=ExportRequest(page_size=250, offset=2**62)),
                )
            ),
        },
    ],
)
def test_an_rpc_request_is_given_as_it_was_stored(world: World, changes: dict[str, object]) -> None:
    rpc_request = new_rpc_request(**changes)
    assert world.store.add(rpc_request) is True

    assert world.store.take(rpc_request.rpc_id) == rpc_request


def test_an_rpc_request_is_taken_once(world: World) -> None:
    rpc_request = new_rpc_request()
    world.store.add(rpc_request)

    assert [world.store.take(rpc_request.rpc_id) for _ in range(2)] == [rpc_request, None]


def test_of_many_who_would_go_at_once_one_does(world: World) -> None:
    rpc_request, together = new_rpc_request(), Barrier(8)
    world.store.add(rpc_request)

    def take(_: int) -> RpcRequest | None:
        together.wait(timeout=PATIENCE_S)
        return world.store.take(rpc_request.rpc_id)

    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(take, range(8)))

    assert [each for each in taken if each is not None] == [rpc_request]


def test_an_id_is_good_for_one_rpc_request_and_what_became_of_it_stays(world: World) -> None:
    rpc_request = new_rpc_request()
    world.store.add(rpc_request)

    assert world.store.add(replace(rpc_request, account_id="a2")) is False
    world.store.take(rpc_request.rpc_id)
    assert world.store.add(rpc_request) is False
    world.store.answer(rpc_request.rpc_id, ANSWERS[0])
    assert world.store.add(rpc_request) is False

    assert world.store.answer_to(rpc_request.rpc_id) == ANSWERS[0]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_given_as_it_was_stored(world: World, answer: Answer) -> None:
    rpc_request = new_rpc_request()
    world.store.add(rpc_request)
    world.store.take(rpc_request.rpc_id)
    assert world.store.answer_to(rpc_request.rpc_id) is None

    world.store.answer(rpc_request.rpc_id, answer)

    assert world.store.answer_to(rpc_request.rpc_id) == answer


def test_of_an_unknown_rpc_request_there_is_no_answer_and_nothing_to_take(world: World) -> None:
    assert world.store.take("unknown") is None
    assert world.store.answer_to("unknown") is None
    assert world.store.withdraw("unknown") is False
    world.store.answer("unknown", ANSWERS[0])
    assert world.store.answer_to("unknown") is None


def test_an_rpc_request_that_is_withdrawn_is_nobodys_any_more(world: World) -> None:
    rpc_request = new_rpc_request()
    world.store.add(rpc_request)

    assert world.store.withdraw(rpc_request.rpc_id) is True

    assert world.store.take(rpc_request.rpc_id) is None
    assert world.store.add(rpc_request) is True


def test_an_rpc_request_that_someone_has_taken_cannot_be_withdrawn(world: World) -> None:
    rpc_request = new_rpc_request()
    world.store.add(rpc_request)
    world.store.take(rpc_request.rpc_id)

    assert world.store.withdraw(rpc_request.rpc_id) is False

    world.store.answer(rpc_request.rpc_id, ANSWERS[0])
    assert world.store.answer_to(rpc_request.rpc_id) == ANSWERS[0]


def test_after_a_quarter_of_an_hour_nobody_goes_any_more(world: World) -> None:
    early, late = new_rpc_request(), new_rpc_request()
    world.store.add(early)
    world.store.add(late)

    world.let_pass(timedelta(minutes=14).total_seconds())
    assert world.store.take(early.rpc_id) == early
    world.let_pass(timedelta(minutes=1, seconds=1).total_seconds())

    assert world.store.take(late.rpc_id) is None


# The documents


def test_a_secret_is_gone_from_the_moment_the_rpc_request_is_taken(mongo_database: MongoDatabase) -> None:
    store, rpc_request = in_mongo(mongo_database).store, new_rpc_request()
    store.add(rpc_request)
    assert CODE.get_secret_value() in str(mongo_database[COLLECTION].find_one())

    store.take(rpc_request.rpc_id)
    store.answer(rpc_request.rpc_id, ANSWERS[0])

    assert CODE.get_secret_value() not in str(mongo_database[COLLECTION].find_one())


def test_with_keys_a_secret_is_encrypted_until_then(mongo_database: MongoDatabase) -> None:
    key = SecretStr(Fernet.generate_key().decode())
    store, rpc_request = in_mongo(mongo_database, TokenEncryption([key])).store, new_rpc_request()
    store.add(rpc_request)

    assert CODE.get_secret_value() not in str(mongo_database[COLLECTION].find_one())
    assert store.take(rpc_request.rpc_id) == rpc_request


def test_a_worker_without_the_key_says_so_by_name(mongo_database: MongoDatabase) -> None:
    key = SecretStr(Fernet.generate_key().decode())
    rpc_request = new_rpc_request()
    in_mongo(mongo_database, TokenEncryption([key])).store.add(rpc_request)

    with pytest.raises(TokenUnreadableError):
        in_mongo(mongo_database).store.take(rpc_request.rpc_id)


def test_a_secret_that_looks_encrypted_is_taken_for_what_it_is(mongo_database: MongoDatabase) -> None:
    store, rpc_request = in_mongo(mongo_database).store, replace(new_rpc_request(), secret=SecretStr("gAAAAAxyz"))
    store.add(rpc_request)

    assert store.take(rpc_request.rpc_id) == rpc_request


def test_mongodb_removes_rpc_requests_that_are_over(mongo_database: MongoDatabase) -> None:
    store = MongoRpcRequestStore(mongo_database)
    for _ in range(2):
        store.ensure_indexes()

    indexes = mongo_database[COLLECTION].index_information()

    assert [index["expireAfterSeconds"] for index in indexes.values() if index["key"] == [("expires_at", 1)]] == [0]


def test_rpc_requests_with_an_answer_are_found_among_others(world: World) -> None:
    answered, taken, new = new_rpc_request(), new_rpc_request(), new_rpc_request()
    for rpc_request in (answered, taken, new):
        world.store.add(rpc_request)
    world.store.take(answered.rpc_id)
    world.store.take(taken.rpc_id)
    world.store.answer(answered.rpc_id, ANSWERS[0])

    found = world.store.answered_among([answered.rpc_id, taken.rpc_id, new.rpc_id, "unknown"])

    assert found == {answered.rpc_id}
