"""The interfaces of RPC: its store, its queue, its answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from worker.rpc.requests import Answer, RpcRequest


class RpcRequestStore(Protocol):
    """Errands and their answers, for some minutes. Every method raises StoreUnavailableError when MongoDB is away."""

    def add(self, errand: RpcRequest) -> bool:
        """Store an errand; False, with nothing written, when there is or was one of that id."""

    def take(self, errand_id: str) -> RpcRequest | None:
        """Return an errand to the one who goes, and forget its secret; None: someone went, or nobody needs to."""

    def answer(self, errand_id: str, answer: Answer) -> None:
        """Store what came of an errand that was taken."""

    def answer_to(self, errand_id: str) -> Answer | None:
        """Return what came of an errand; None as long as nothing did."""

    def answered_among(self, errand_ids: Collection[str]) -> set[str]:
        """Return which of these have their answer."""

    def withdraw(self, errand_id: str) -> bool:
        """Forget an errand that nobody has taken; False: somebody has."""


class RpcQueue(Protocol):
    """The way to the workers; only the errand's id travels."""

    def publish(self, errand: RpcRequest, /) -> None:
        """Ring for an errand. Raises BrokerUnavailableError."""


class AnswerNotifier(Protocol):
    """Tells whoever waits that an errand has its answer; best effort, it never raises."""

    def announce_answer(self, errand_id: str) -> None:
        """Say that there is an answer."""


class RpcHandler(Protocol):
    """Does what a message rings for where someone has sent an errand."""

    def run(self, errand_id: str) -> None:
        """Do an errand that nobody has taken and somebody waits for. Raises UnavailableError."""
