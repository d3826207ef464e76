"""RpcClient: sends a worker to HubSpot with a question, and waits for the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from api_shim.operations.waiting_limit import WaitingLimit
from api_shim.services.job_waiter import JobWaiter, Watch
from worker.errors import AlreadyAskedError, BrokerUnavailableError, NoAnswerError
from worker.jobs.status import JobStatus
from worker.rpc.interfaces import RpcQueue, RpcRequestStore
from worker.rpc.requests import Answer, RpcRequest

_NOBODY_WENT = "No worker has taken it up in time: nothing was done"
_STILL_UNDER_WAY = "HubSpot has not answered in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcClient:
    """The shim's way to HubSpot, which it never calls itself. Stores block, so they are called in threads."""

    rpc_requests: RpcRequestStore
    queue: RpcQueue
    waiter: JobWaiter
    waiting_limit: WaitingLimit
    longest_wait_s: float

    async def ask(self, rpc_request: RpcRequest) -> Answer:
        """Return the answer to an RPC request.

        Raises AlreadyAskedError; StoreUnavailableError; BrokerUnavailableError and TooManyRequestsError with nothing
        done; NoAnswerError when no worker took the RPC request, or when the answer takes too long: then it may still be
        done.
        """
        limit = self.waiting_limit.one_more(rpc_request.account_id, rpc_request.owner)
        with limit, self.waiter.watch(rpc_request.rpc_id, self._answered) as watch:
            if not await run_in_threadpool(self.rpc_requests.add, rpc_request):
                raise AlreadyAskedError
            try:
                await run_in_threadpool(self.queue.publish, rpc_request)
            except BrokerUnavailableError:
                await run_in_threadpool(self.rpc_requests.withdraw, rpc_request.rpc_id)
                raise
            return await self._answer_to(rpc_request.rpc_id, watch)

    async def _answer_to(self, rpc_id: str, watch: Watch) -> Answer:
        ends_at = time.monotonic() + self.longest_wait_s
        while (left_s := ends_at - time.monotonic()) > 0:
            await watch.next_status(timeout_s=left_s)
            answer = await run_in_threadpool(self.rpc_requests.answer_to, rpc_id)
            if answer is not None:
                return answer
        nobody_went = await run_in_threadpool(self.rpc_requests.withdraw, rpc_id)
        raise NoAnswerError(_NOBODY_WENT if nobody_went else _STILL_UNDER_WAY)

    def _answered(self, rpc_ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """Return which of these are answered, in the word that announcements use for it."""
        return dict.fromkeys(self.rpc_requests.answered_among(rpc_ids), JobStatus.SUCCEEDED)
