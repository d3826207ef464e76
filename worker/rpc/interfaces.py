"""The interfaces of RPC: the store of requests, their queue, the notifier of answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from worker.rpc.requests import Answer, RpcRequest


class RpcRequestStore(Protocol):
    """Requests and their answers, kept for minutes. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, rpc_request: RpcRequest) -> bool:
        """Store a request; False, with nothing written, where there is or was one of that id."""

    def take(self, rpc_id: str) -> RpcRequest | None:
        """Claim a request and remove its secret; None where it was claimed, has expired or was withdrawn."""

    def answer(self, rpc_id: str, answer: Answer) -> None:
        """Store the answer to a claimed request."""

    def answer_to(self, rpc_id: str) -> Answer | None:
        """Return the answer; None as long as there is none."""

    def answered_among(self, rpc_ids: Collection[str]) -> set[str]:
        """Return which of these have an answer."""

    def withdraw(self, rpc_id: str) -> bool:
        """Delete a request that nobody has claimed; False where somebody has."""


class RpcQueue(Protocol):
    """The queue of RPC requests; a message holds only the id."""

    def publish(self, rpc_request: RpcRequest, /) -> None:
        """Publish a request. Raises BrokerUnavailableError."""


class AnswerNotifier(Protocol):
    """Notifies whoever waits for an answer; best effort, it never raises."""

    def notify_answer(self, rpc_id: str) -> None: ...
