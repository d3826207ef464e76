"""Reads the results of every accepted job back over the API, to be compared with what HubSpot holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import requests

from benchmarks.soak.client import Client, Json, UnexpectedAnswerError
from benchmarks.soak.database import Stored
from benchmarks.soak.ledger import Promise
from benchmarks.soak.load import ExpectedIds
from benchmarks.soak.verdict import Evidence

_READERS = 4


class UnreadableResultsError(Exception):
    """A job's results could not be read completely; the text names the job."""


class Auditor:
    """Collects the evidence about jobs that have ended. `jobs` are their last states by id."""

    def __init__(self, client: Client, *, jobs: Mapping[str, Json], stored: Stored, expected: ExpectedIds) -> None:
        self._client = client
        self._jobs = jobs
        self._stored = stored
        self._expected = expected

    def evidence(self, promises: Sequence[Promise]) -> Iterator[Evidence | UnreadableResultsError]:
        """Yield the evidence about each job as soon as it is read, or the error."""
        with ThreadPoolExecutor(_READERS) as readers:
            readings = [readers.submit(self._read, promise) for promise in promises]
            try:
                yield from (reading.result() for reading in as_completed(readings))
            finally:
                readers.shutdown(cancel_futures=True)

    def _read(self, promise: Promise) -> Evidence | UnreadableResultsError:
        job = self._jobs[promise.job_id]
        try:
            found = self._client.stored_ids(promise) if job["status"] == "succeeded" else None
        except (UnexpectedAnswerError, requests.RequestException) as error:
            return UnreadableResultsError(f"{promise.name}: {type(error).__name__}: {error}")
        return Evidence(
            name=promise.name,
            job=job,
            expected=self._expected[promise.account.hub_id, promise.export_type][: promise.limit],
            found=found,
            pages=self._stored.pages.get(promise.job_id, ()),
            epoch=self._stored.epochs.get(promise.job_id, 0),
            wants_all=promise.limit is None,
        )
