"""RpcServer: runs an RPC request, stores the answer, and notifies whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog
from pydantic import SecretStr

from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions
from worker.errors import ExportError, InternalError, StoreUnavailableError, TokenUnreadableError
from worker.jobs.status import JobError
from worker.rpc.interfaces import AnswerNotifier, RpcRequestStore
from worker.rpc.requests import Answer, Connected, ExchangeCode, Plan, PlanExports, RpcRequest

_log = structlog.get_logger()


class _CodeExchanger(Protocol):
    def connect(self, account_id: str, owner: str, question: ExchangeCode, *, code: SecretStr) -> Connected: ...


class _Planner(Protocol):
    def plan(self, account_id: str, owner: str, question: PlanExports) -> Plan: ...


class _Definitions(Protocol):
    def show(self, account_id: str, owner: str, asked: ListDefinitions) -> Defined: ...

    def check(self, account_id: str, owner: str, asked: CheckProperties) -> CheckedProperties: ...


class RpcServer:
    """Runs RPC requests, each at most once: one that a worker died over is not repeated, and its caller times out."""

    def __init__(  # noqa: PLR0913 - who answers which question, each by name
        self,
        *,
        rpc_requests: RpcRequestStore,
        code_exchanger: _CodeExchanger,
        planner: _Planner,
        definitions: _Definitions,
        notifier: AnswerNotifier,
        clock: Callable[[], datetime],
    ) -> None:
        self._rpc_requests = rpc_requests
        self._code_exchanger = code_exchanger
        self._planner = planner
        self._definitions = definitions
        self._notifier = notifier
        self._clock = clock

    def run(self, rpc_id: str) -> None:
        """Answer a request that is open; a second message for it, or one for a withdrawn request, does nothing.

        Raises StoreUnavailableError when MongoDB is away: the answer is lost, and the caller times out.
        """
        answer = self._take_and_do(rpc_id)
        if answer is None:
            _log.info("nothing_to_take", rpc_id=rpc_id)
            return
        self._rpc_requests.answer(rpc_id, answer)
        self._notifier.notify_answer(rpc_id)

    def _take_and_do(self, rpc_id: str) -> Answer | None:
        try:
            rpc_request = self._rpc_requests.take(rpc_id)
        except TokenUnreadableError as error:  # taken, but its secret cannot be read here
            return JobError.of(error, at=self._clock())
        if rpc_request is None:
            return None
        with structlog.contextvars.bound_contextvars(rpc_id=rpc_id, account_id=rpc_request.account_id):
            return self._try(rpc_request)

    def _try(self, rpc_request: RpcRequest) -> Answer:
        try:
            return self._do(rpc_request)
        except StoreUnavailableError:
            raise
        except ExportError as error:
            _log.warning("rpc_request_failed", code=error.code, error=error.message)
            return JobError.of(error, at=self._clock())
        except Exception:  # the outermost loop of an RPC request: the caller learns only that there is a bug
            _log.exception("rpc_request_broke")
            return JobError.of(InternalError())

    def _do(self, rpc_request: RpcRequest) -> Answer:
        account_id, owner = rpc_request.account_id, rpc_request.owner
        match rpc_request.question:
            case ExchangeCode() as question:
                code = rpc_request.secret or SecretStr("")
                return self._code_exchanger.connect(account_id, owner, question, code=code)
            case PlanExports() as question:
                return self._planner.plan(account_id, owner, question)
            case ListDefinitions() as question:
                return self._definitions.show(account_id, owner, question)
            case CheckProperties() as question:
                return self._definitions.check(account_id, owner, question)
