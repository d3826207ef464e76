"""The interfaces of RPC: its store, its queue, its answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from worker.rpc.requests import Answer, RpcRequest


class RpcRequestStore(Protocol):
    """Requests and their answers, for some minutes. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, rpc_request: RpcRequest) -> bool:
        """Store an RPC request; False, with nothing written, when there is or was one of that id."""

    def take(self, rpc_id: str) -> RpcRequest | None:
        """Return an RPC request to the one who goes, and forget its secret; None: someone went, or nobody needs to."""

    def answer(self, rpc_id: str, answer: Answer) -> None:
        """Store what came of an RPC request that was taken."""

    def answer_to(self, rpc_id: str) -> Answer | None:
        """Return what came of an RPC request; None as long as nothing did."""

    def answered_among(self, rpc_ids: Collection[str]) -> set[str]:
        """Return which of these have their answer."""

    def withdraw(self, rpc_id: str) -> bool:
        """Forget an RPC request that nobody has taken; False: somebody has."""


class RpcQueue(Protocol):
    """The way to the workers; only the RPC request's id travels."""

    def publish(self, rpc_request: RpcRequest, /) -> None:
        """Publish an RPC request. Raises BrokerUnavailableError."""


class AnswerNotifier(Protocol):
    """Tells whoever waits that an RPC request has its answer; best effort, it never raises."""

    def notify_answer(self, rpc_id: str) -> None:
        """Say that there is an answer."""


class RpcHandler(Protocol):
    """Answers the RPC request that a message names."""

    def run(self, rpc_id: str) -> None:
        """Do an RPC request that nobody has taken and somebody waits for. Raises UnavailableError."""
