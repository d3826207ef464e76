"""After the faults: polls every accepted job until it has ended, and retries retryable failures once."""

from __future__ import annotations

from collections.abc import Sequence

import requests

from benchmarks.soak.client import Client, Json, UnexpectedAnswerError
from benchmarks.soak.ledger import Promise

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class Settling:
    """Polls the accepted jobs. `ended` holds the final states by job id."""

    def __init__(self, client: Client, promises: Sequence[Promise]) -> None:
        self._client = client
        self._open = {promise.job_id: promise for promise in promises}
        self._last_seen: dict[str, str] = {}
        self.ended: dict[str, Json] = {}
        self.retried: set[str] = set()

    @property
    def is_over(self) -> bool:
        return not self._open

    @property
    def complaints(self) -> list[str]:
        """One sentence for each job that has not ended."""
        return [f"{promise.name}: has not ended: {self._last_seen.get(job_id)}" for job_id, promise in self._left]

    def poll(self) -> None:
        """Poll every job that has not ended, once."""
        for _, promise in self._left:
            try:
                self._poll(promise)
            except (UnexpectedAnswerError, requests.RequestException) as error:
                self._last_seen[promise.job_id] = f"{type(error).__name__}: {error}"

    @property
    def _left(self) -> list[tuple[str, Promise]]:
        return list(self._open.items())

    def _poll(self, promise: Promise) -> None:
        job = self._client.job(promise)
        self._last_seen[promise.job_id] = f"{job['status']}, {job['progress']['pages']} pages"
        if job["status"] == "failed" and job["error"]["retryable"] and promise.job_id not in self.retried:
            self._client.retry(promise)
            self.retried.add(promise.job_id)
        elif job["status"] in ENDED:
            self.ended[promise.job_id] = job
            del self._open[promise.job_id]
