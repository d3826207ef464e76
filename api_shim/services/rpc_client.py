"""RpcClient: asks a worker to call HubSpot, and waits for its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.job_waiter import JobWaiter
from worker.errors import AlreadyAskedError, BrokerUnavailableError, NoAnswerError
from worker.jobs.status import JobStatus
from worker.rpc.interfaces import RpcQueue, RpcRequestStore
from worker.rpc.requests import Answer, RpcRequest

_NOT_TAKEN = "No worker picked up the request in time; nothing was changed"
_STILL_UNDER_WAY = "HubSpot has not answered in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcClient:
    """The shim's way to HubSpot, which it never calls itself. Stores block, so they are called in threads."""

    rpc_requests: RpcRequestStore
    queue: RpcQueue
    waiter: JobWaiter
    waiting_limit: WaitingLimit
    longest_wait_s: float

    async def ask(self, rpc_request: RpcRequest, *, within_s: float | None = None) -> Answer:
        """Return the answer to an RPC request, which a caller waits for no longer than `within_s`.

        Raises AlreadyAskedError; StoreUnavailableError; BrokerUnavailableError and TooManyRequestsError with nothing
        done; NoAnswerError when no worker took the request, or when the answer takes too long: then it may still be
        done.
        """
        rpc_id = rpc_request.rpc_id
        limit = self.waiting_limit.one_more(rpc_request.account_id, rpc_request.owner)
        with limit, self.waiter.watch(rpc_id, self._answered) as watch:
            if not await run_in_threadpool(self.rpc_requests.add, rpc_request):
                raise AlreadyAskedError
            try:
                await run_in_threadpool(self.queue.publish, rpc_request)
            except BrokerUnavailableError:
                await run_in_threadpool(self.rpc_requests.withdraw, rpc_id)
                raise
            patience_s = self.longest_wait_s if within_s is None else min(within_s, self.longest_wait_s)
            async for _ in watch.signals(within_s=patience_s):
                if (answer := await run_in_threadpool(self.rpc_requests.answer_to, rpc_id)) is not None:
                    return answer
            return await run_in_threadpool(self._last_answer, rpc_id)

    def _last_answer(self, rpc_id: str) -> Answer:
        # Withdrawn first: a worker that takes the request between the two calls is seen as one that has taken it.
        if self.rpc_requests.withdraw(rpc_id):
            raise NoAnswerError(_NOT_TAKEN)
        answer = self.rpc_requests.answer_to(rpc_id)
        if answer is None:
            raise NoAnswerError(_STILL_UNDER_WAY)
        return answer

    def _answered(self, rpc_ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """Return which of these are answered, by the state that notifications use for it."""
        return dict.fromkeys(self.rpc_requests.answered_among(rpc_ids), JobStatus.SUCCEEDED)
