"""RpcServer: a request is run once, its outcome is the answer, and whoever waits is notified."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.fakes.clock import ManualClock
from tests.fakes.rpc_requests import InMemoryRpcRequestStore
from worker.accounts.connection import TokenInfo
from worker.definitions.definition import Owner
from worker.definitions.lists import Listed, ListKind
from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions
from worker.errors import FatalHubSpotError, InternalError, StoreUnavailableError, TokenUnreadableError
from worker.jobs.status import JobError
from worker.records.types import CONTACTS
from worker.rpc.requests import Answer, Connected, ExchangeCode, Plan, PlanExports, Question, RpcRequest
from worker.rpc.server import RpcServer

CONNECTED = Connected(facts=TokenInfo(hub_id=1))
PLAN = Plan(exports=(), rate=None, facts=TokenInfo(hub_id=2))
DEFINED = Defined(listed=Listed(owners=(Owner(id="7", email="ada@example.test"),)))
REFUSED = FatalHubSpotError("no", status=403, body={"category": "X"})


@dataclass
class Collaborators:
    """The code exchanger, planner and notifier in one: each remembers its calls, and the first fails on request."""

    failure: Exception | None = None
    connected: list[tuple[str, str, str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def connect(self, account_id: str, owner: str, question: ExchangeCode, *, code: SecretStr) -> Connected:
        self.connected.append((account_id, owner, question.redirect_uri, code.get_secret_value()))
        if self.failure is not None:
            raise self.failure
        return CONNECTED

    def plan(self, account_id: str, owner: str, question: PlanExports) -> Plan:  # noqa: ARG002 - the seam's
        return PLAN

    def show(self, account_id: str, owner: str, asked: ListDefinitions) -> Defined:  # noqa: ARG002 - the seam's
        return DEFINED

    def check(self, account_id: str, owner: str, asked: CheckProperties) -> CheckedProperties:  # noqa: ARG002 - as above
        return CheckedProperties(unknown=dict.fromkeys(asked.names, ()))

    def notify_answer(self, rpc_id: str) -> None:
        self.told.append(rpc_id)


class KeylessStore(InMemoryRpcRequestStore):
    """A store of which this process cannot read the secrets."""

    def take(self, rpc_id: str) -> RpcRequest | None:
        super().take(rpc_id)
        raise TokenUnreadableError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> InMemoryRpcRequestStore:
    return InMemoryRpcRequestStore(clock)


@pytest.fixture
def hands() -> Collaborators:
    return Collaborators()


def run(store: InMemoryRpcRequestStore, hands: Collaborators, rpc_id: str = "e1") -> None:
    server = RpcServer(
        rpc_requests=store,
        code_exchanger=hands,
        planner=hands,
        definitions=hands,
        notifier=hands,
        clock=ManualClock(),
    )
    server.run(rpc_id)


def rpc_request(clock: ManualClock, question: Question | None = None) -> RpcRequest:
    return RpcRequest(
        rpc_id="e1",
        account_id="a1",
        owner="u1",
        question=question or ExchangeCode(redirect_uri="https://app.test/cb"),
        created_at=clock(),
        secret=SecretStr("the-code"),
    )


def test_a_code_is_exchanged_and_the_caller_notified(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock
) -> None:
    store.add(rpc_request(clock))

    run(store, hands)

    assert hands.connected == [("a1", "u1", "https://app.test/cb", "the-code")]
    assert (store.answer_to("e1"), hands.told) == (CONNECTED, ["e1"])


def test_a_plan_is_made(store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock) -> None:
    store.add(replace(rpc_request(clock, PlanExports(exports=())), secret=None))

    run(store, hands)

    assert store.answer_to("e1") == PLAN


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (ListDefinitions(kind=ListKind.OWNERS), DEFINED),
        (CheckProperties(export_type=CONTACTS, names=("emial",)), CheckedProperties(unknown={"emial": ()})),
    ],
)
def test_definitions_are_read(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock, question: Question, answer: Answer
) -> None:
    store.add(replace(rpc_request(clock, question), secret=None))

    run(store, hands)

    assert (store.answer_to("e1"), hands.told) == (answer, ["e1"])


def test_a_second_delivery_does_nothing(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock
) -> None:
    store.add(rpc_request(clock))

    for _ in range(3):
        run(store, hands)

    assert (len(hands.connected), hands.told) == (1, ["e1"])


def test_a_code_is_not_exchanged_again_after_a_worker_was_killed(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock
) -> None:
    store.add(rpc_request(clock))
    store.take("e1")

    run(store, hands)

    assert (hands.connected, store.answer_to("e1"), hands.told) == ([], None, [])


def test_what_was_withdrawn_or_never_was_is_left_alone(store: InMemoryRpcRequestStore, hands: Collaborators) -> None:
    run(store, hands, "unknown")

    assert (hands.connected, hands.told) == ([], [])


def test_what_hubspot_refuses_is_the_answer(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock
) -> None:
    store.add(rpc_request(clock))
    hands.failure = REFUSED

    run(store, hands)

    assert (store.answer_to("e1"), hands.told) == (JobError.of(REFUSED), ["e1"])


def test_a_bug_is_answered_without_a_word_of_it_and_logged_once(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock
) -> None:
    store.add(rpc_request(clock))
    hands.failure = RuntimeError("the-code")

    with capture_logs() as logs:
        run(store, hands)

    assert store.answer_to("e1") == JobError.of(InternalError())
    assert [event["event"] for event in logs if event["log_level"] == "error"] == ["rpc_request_broke"]


def test_a_missing_key_is_reported_by_the_name_of_the_setting(hands: Collaborators, clock: ManualClock) -> None:
    store = KeylessStore(clock)
    store.add(rpc_request(clock))

    run(store, hands)

    answer = store.answer_to("e1")
    assert isinstance(answer, JobError)
    assert (answer.code, "TOKEN_ENCRYPTION_KEYS" in answer.message) == ("unavailable", True)


def test_without_the_database_there_is_no_answer(
    store: InMemoryRpcRequestStore, hands: Collaborators, clock: ManualClock
) -> None:
    store.add(rpc_request(clock))
    hands.failure = StoreUnavailableError()

    with pytest.raises(StoreUnavailableError):
        run(store, hands)

    assert hands.told == []
