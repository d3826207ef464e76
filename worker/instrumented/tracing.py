"""Spans of a job: its publication, and its slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from worker.jobs.job import Job
from worker.messaging.interfaces import JobQueue
from worker.telemetry.tracing import JOB_ID, TRACEPARENT, Span, Traces

_FIRST_EPOCH = 1

Headers: TypeAlias = Callable[[], Mapping[str, str]]
"""Returns the trace headers of the current message."""


class TracedQueue:
    """A JobQueue with a span that is current while the wrapped queue sends the message."""

    def __init__(self, queue: JobQueue, traces: Traces) -> None:
        self._queue = queue
        self._traces = traces

    def publish(self, job: Job) -> None:
        with self._traces.span("publish", "producer", attributes={JOB_ID: job.job_id}):
            self._queue.publish(job)


class PublishSpans:
    """One span for each message about a new job, in the trace that the job was submitted in."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    @contextmanager
    def __call__(self, job: Job) -> Iterator[Mapping[str, str]]:
        """Start the span, and yield the message's headers."""
        parent = {TRACEPARENT: job.origin.traceparent} if job.origin.traceparent is not None else {}
        with self._traces.span("publish", "producer", attributes={JOB_ID: job.job_id}, parent=parent):
            yield self._traces.headers()


class SliceSpans:
    """One span for each slice: it continues the trace of its message, if that is the job's own.

    Otherwise the message was published for another job of the account. Then the first slice continues the trace that
    the job was submitted in, and each later one starts a trace with a link to it: an export may take hours and
    thousands of slices, too many for one trace.
    """

    def __init__(self, traces: Traces, *, headers: Headers) -> None:
        self._traces = traces
        self._headers = headers

    def __call__(self, job: Job) -> AbstractContextManager[Span]:
        headers, origin = self._headers(), job.origin.traceparent
        parent: Mapping[str, str] = {}
        if _trace_of(headers.get(TRACEPARENT)) == _trace_of(origin):
            parent = headers
        elif origin is not None and job.epoch == _FIRST_EPOCH:
            parent = {TRACEPARENT: origin}
        return self._traces.span(
            "run_slice",
            "consumer",
            attributes={JOB_ID: job.job_id},
            parent=parent,
            link=None if TRACEPARENT in parent else origin,
        )


def _trace_of(traceparent: str | None) -> str | None:
    """Return the trace id in a `traceparent` header of W3C's Trace Context."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None
