"""RpcServer: takes an errand, has it done, and brings the answer to whoever waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog
from pydantic import SecretStr

from worker.errors import ExportError, InternalError, StoreUnavailableError, TokenUnreadableError
from worker.jobs.status import JobError
from worker.rpc.interfaces import AnswerNotifier, RpcRequestStore
from worker.rpc.requests import Answer, Connected, ExchangeCode, Plan, PlanExports, RpcRequest

_log = structlog.get_logger()


class _Connector(Protocol):
    def connect(self, account_id: str, owner: str, question: ExchangeCode, *, code: SecretStr) -> Connected: ...


class _Planner(Protocol):
    def plan(self, account_id: str, owner: str, question: PlanExports) -> Plan: ...


class RpcServer:
    """Runs errands, each at most once: what was half done by a worker that died is not done a second time."""

    def __init__(
        self,
        *,
        errands: RpcRequestStore,
        connector: _Connector,
        planner: _Planner,
        announcer: AnswerNotifier,
        clock: Callable[[], datetime],
    ) -> None:
        self._errands = errands
        self._connector = connector
        self._planner = planner
        self._announcer = announcer
        self._clock = clock

    def run(self, errand_id: str) -> None:
        """Do an errand that nobody has taken and somebody waits for; leave any other alone: messages may come twice.

        Raises StoreUnavailableError when MongoDB is away: nobody hears of the answer.
        """
        answer = self._take_and_do(errand_id)
        if answer is None:
            _log.info("nothing_to_take", errand_id=errand_id)
            return
        self._errands.answer(errand_id, answer)
        self._announcer.announce_answer(errand_id)

    def _take_and_do(self, errand_id: str) -> Answer | None:
        try:
            errand = self._errands.take(errand_id)
        except TokenUnreadableError as error:  # taken, but its secret cannot be read here
            return JobError.of(error, at=self._clock())
        if errand is None:
            return None
        with structlog.contextvars.bound_contextvars(errand_id=errand_id, account_id=errand.account_id):
            return self._try(errand)

    def _try(self, errand: RpcRequest) -> Answer:
        try:
            return self._do(errand)
        except StoreUnavailableError:
            raise
        except ExportError as error:
            _log.warning("errand_failed", code=error.code, error=error.message)
            return JobError.of(error, at=self._clock())
        except Exception:  # the outermost loop of an errand: who waits is told that there is a bug, and no more
            _log.exception("errand_broke")
            return JobError.of(InternalError())

    def _do(self, errand: RpcRequest) -> Answer:
        account_id, owner = errand.account_id, errand.owner
        match errand.question:
            case ExchangeCode() as question:
                return self._connector.connect(account_id, owner, question, code=errand.secret or SecretStr(""))
            case PlanExports() as question:
                return self._planner.plan(account_id, owner, question)
