"""Seams that leave spans: the ring for a job, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from worker.interfaces import ErrandTaker, JobQueue, SliceOutcome, SliceRunner, SyncStarter
from worker.jobs import Job
from worker.spans import ERRAND_ID, JOB_ID, LINK, Span, Traces

Headers: TypeAlias = Callable[[], Mapping[str, str]]
"""Gives what the message at hand says of traces."""


class TracedQueue:
    """A JobQueue. Its span is the present one while the queue behind it sends the message."""

    def __init__(self, queue: JobQueue, traces: Traces) -> None:
        self._queue = queue
        self._traces = traces

    def publish(self, job: Job) -> None:
        """Ring for a job."""
        with self._traces.span("publish", "producer", attributes={JOB_ID: job.job_id}):
            self._queue.publish(job)


class TracedExporter:
    """A SliceRunner. One span a slice: it goes on with the trace that its message names, or links to the job's first.

    An export may take hours and thousands of slices; in one trace nobody could find anything.
    """

    def __init__(self, exporter: SliceRunner, traces: Traces, *, headers: Headers) -> None:
        self._exporter = exporter
        self._traces = traces
        self._headers = headers

    def run_slice(self, job_id: str) -> SliceOutcome:
        """Run a slice."""
        with _consuming(self._traces, "run_slice", job_id, self._headers()) as span:
            outcome = self._exporter.run_slice(job_id)
            span.note({"hubspot_export.outcome": outcome})
            return outcome


class TracedSyncer:
    """A SyncStarter."""

    def __init__(self, syncer: SyncStarter, traces: Traces, *, headers: Headers) -> None:
        self._syncer = syncer
        self._traces = traces
        self._headers = headers

    def start(self, sync_id: str) -> None:
        """Start a sync."""
        with _consuming(self._traces, "start_sync", sync_id, self._headers()):
            self._syncer.start(sync_id)

    def start_all(self, sync_ids: Sequence[str]) -> None:
        """Start syncs, each in a span of its own."""
        for sync_id in sync_ids:
            self.start(sync_id)


class TracedErrands:
    """Runs errands. Who waits for one waits in the trace that its span belongs to."""

    def __init__(self, errands: ErrandTaker, traces: Traces, *, headers: Headers) -> None:
        self._errands = errands
        self._traces = traces
        self._headers = headers

    def run(self, errand_id: str) -> None:
        """Run an errand."""
        about = {ERRAND_ID: errand_id}
        with self._traces.span("run_errand", "consumer", attributes=about, parent=self._headers()):
            self._errands.run(errand_id)


def _consuming(traces: Traces, task: str, job_id: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
    return traces.span(task, "consumer", attributes={JOB_ID: job_id}, parent=headers, link=headers.get(LINK))
