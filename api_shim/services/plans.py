"""PlanService: plans exports without starting them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import Caller
from api_shim.services.rpc_client import RpcClient
from worker.accounts.interfaces import TokenStore
from worker.errors import TokenNotFoundError
from worker.rpc.requests import Answer, PlanExports, PlannedExport, RpcRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanService:
    """What routes call for `"dry_run": true`; a worker makes the plan, since it may have to ask HubSpot."""

    tokens: TokenStore
    rpc_requests: RpcClient
    clock: Callable[[], datetime]

    async def plan(self, caller: Caller, exports: Sequence[PlannedExport]) -> Answer:
        """Return a plan of exports that would run in parallel.

        Raises TokenNotFoundError, TokenUnreadableError, and what `RpcClient.ask` raises.
        """
        if await run_in_threadpool(self.tokens.find, caller.account_id, caller.uid) is None:
            raise TokenNotFoundError
        rpc_request = RpcRequest(
            rpc_id=str(uuid.uuid4()),
            account_id=caller.account_id,
            owner=caller.uid,
            question=PlanExports(exports=tuple(exports)),
            created_at=self.clock(),
        )
        return await self.rpc_requests.ask(rpc_request)
