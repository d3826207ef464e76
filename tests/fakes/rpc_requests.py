"""In-memory RPC requests, taken once and over by an injected clock, and a queue that holds them; both may be away."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tests.patience import PATIENCE_S
from worker.errors import BrokerUnavailableError, StoreUnavailableError
from worker.rpc.requests import Answer, RpcRequest

LIFE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredErrand:
    rpc_request: RpcRequest
    is_taken: bool = False
    answer: Answer | None = None


class InMemoryRpcRequestStore:
    """RpcRequestStore. Its clock plays the part of the database server's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_away = False
        self._clock = clock
        self._lock = threading.Lock()
        self._stored: dict[str, _StoredErrand] = {}

    @property
    def all(self) -> list[RpcRequest]:
        """Every RPC request there is, in the order they came."""
        return [stored.rpc_request for stored in self._stored.values()]

    def add(self, rpc_request: RpcRequest) -> bool:
        self._answer_or_fail()
        with self._lock:
            if rpc_request.rpc_id in self._stored:
                return False
            self._stored[rpc_request.rpc_id] = _StoredErrand(rpc_request=rpc_request)
            return True

    def take(self, rpc_id: str) -> RpcRequest | None:
        self._answer_or_fail()
        with self._lock:
            stored = self._stored.get(rpc_id)
            if stored is None or stored.is_taken or stored.rpc_request.created_at + LIFE <= self._clock():
                return None
            self._stored[rpc_id] = _StoredErrand(rpc_request=replace(stored.rpc_request, secret=None), is_taken=True)
            return stored.rpc_request

    def answer(self, rpc_id: str, answer: Answer) -> None:
        self._answer_or_fail()
        with self._lock:
            if rpc_id in self._stored:
                self._stored[rpc_id] = replace(self._stored[rpc_id], answer=answer)

    def answer_to(self, rpc_id: str) -> Answer | None:
        self._answer_or_fail()
        stored = self._stored.get(rpc_id)
        return stored.answer if stored is not None else None

    def answered_among(self, rpc_ids: Collection[str]) -> set[str]:
        self._answer_or_fail()
        return {each for each in rpc_ids if each in self._stored and self._stored[each].answer is not None}

    def withdraw(self, rpc_id: str) -> bool:
        self._answer_or_fail()
        with self._lock:
            stored = self._stored.get(rpc_id)
            if stored is None or stored.is_taken:
                return False
            del self._stored[rpc_id]
            return True

    def _answer_or_fail(self) -> None:
        if self.is_away:
            raise StoreUnavailableError


class HoldingErrandQueue:
    """RpcQueue. `published` is everything that was ever rung for; `take` gives each once, oldest first."""

    def __init__(self) -> None:
        self.is_away = False
        self.published: list[RpcRequest] = []
        self._held: queue.SimpleQueue[RpcRequest] = queue.SimpleQueue()

    def publish(self, rpc_request: RpcRequest) -> None:
        if self.is_away:
            raise BrokerUnavailableError
        self.published.append(rpc_request)
        self._held.put(rpc_request)

    def take(self, *, within_s: float = PATIENCE_S) -> RpcRequest:
        """Return the oldest RPC request that is held, waiting for one. Raises queue.Empty when none comes in time."""
        return self._held.get(timeout=within_s)
