"""In-memory errands, taken once and over by an injected clock, and a queue that holds them; both may be away."""

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
    errand: RpcRequest
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
        """Every errand there is, in the order they came."""
        return [stored.errand for stored in self._stored.values()]

    def add(self, errand: RpcRequest) -> bool:
        self._answer_or_fail()
        with self._lock:
            if errand.errand_id in self._stored:
                return False
            self._stored[errand.errand_id] = _StoredErrand(errand=errand)
            return True

    def take(self, errand_id: str) -> RpcRequest | None:
        self._answer_or_fail()
        with self._lock:
            stored = self._stored.get(errand_id)
            if stored is None or stored.is_taken or stored.errand.created_at + LIFE <= self._clock():
                return None
            self._stored[errand_id] = _StoredErrand(errand=replace(stored.errand, secret=None), is_taken=True)
            return stored.errand

    def answer(self, errand_id: str, answer: Answer) -> None:
        self._answer_or_fail()
        with self._lock:
            if errand_id in self._stored:
                self._stored[errand_id] = replace(self._stored[errand_id], answer=answer)

    def answer_to(self, errand_id: str) -> Answer | None:
        self._answer_or_fail()
        stored = self._stored.get(errand_id)
        return stored.answer if stored is not None else None

    def answered_among(self, errand_ids: Collection[str]) -> set[str]:
        self._answer_or_fail()
        return {each for each in errand_ids if each in self._stored and self._stored[each].answer is not None}

    def withdraw(self, errand_id: str) -> bool:
        self._answer_or_fail()
        with self._lock:
            stored = self._stored.get(errand_id)
            if stored is None or stored.is_taken:
                return False
            del self._stored[errand_id]
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

    def publish(self, errand: RpcRequest) -> None:
        if self.is_away:
            raise BrokerUnavailableError
        self.published.append(errand)
        self._held.put(errand)

    def take(self, *, within_s: float = PATIENCE_S) -> RpcRequest:
        """Give the oldest errand that is held, waiting for one. Raises queue.Empty when none comes in time."""
        return self._held.get(timeout=within_s)
