"""RpcClient: what comes of a request whose answer arrives at the last moment."""

from __future__ import annotations

import asyncio

import fakeredis
import pytest

from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.job_waiter import JobWaiter
from api_shim.services.rpc_client import RpcClient
from tests.fakes.clock import ManualClock
from tests.fakes.rpc_requests import HoldingErrandQueue, InMemoryRpcRequestStore
from worker.errors import NoAnswerError
from worker.jobs.status import JobError
from worker.rpc.requests import Answer, PlanExports, RpcRequest

ANSWER = JobError(code="hubspot_error", message="No", retryable=False)


class LastMoment(InMemoryRpcRequestStore):
    """A store in which a worker takes the request right before it would be withdrawn, and perhaps answers it."""

    final: Answer | None = None

    def withdraw(self, rpc_id: str) -> bool:
        self.take(rpc_id)
        if self.final is not None:
            self.answer(rpc_id, self.final)
        return super().withdraw(rpc_id)


@pytest.fixture
def store() -> LastMoment:
    return LastMoment(ManualClock())


def ask(store: LastMoment) -> Answer:
    client = RpcClient(
        rpc_requests=store,
        queue=HoldingErrandQueue(),
        waiter=JobWaiter(fakeredis.FakeAsyncRedis()),
        waiting_limit=WaitingLimit(0),
        longest_wait_s=0,
    )
    question = PlanExports(exports=())
    asked = RpcRequest(rpc_id="r1", account_id="a1", owner="u1", question=question, created_at=ManualClock()())
    return asyncio.run(client.ask(asked))


def test_an_answer_that_arrives_as_the_request_is_withdrawn_is_returned(store: LastMoment) -> None:
    store.final = ANSWER

    assert ask(store) == ANSWER


def test_a_request_that_is_taken_as_it_is_withdrawn_is_not_reported_as_untouched(store: LastMoment) -> None:
    with pytest.raises(NoAnswerError, match="has not answered in time"):
        ask(store)
