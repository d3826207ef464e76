"""Ports that leave spans: the publication of a job, and what a worker does for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from worker.jobs.job import Job
from worker.messaging.interfaces import JobQueue
from worker.telemetry.tracing import JOB_ID, TRACEPARENT, Span, Traces

_FIRST_EPOCH = 1

Headers: TypeAlias = Callable[[], Mapping[str, str]]
"""Gives what the message at hand says of traces."""


class TracedQueue:
    """A JobQueue. Its span is the present one while the queue behind it sends the message."""

    def __init__(self, queue: JobQueue, traces: Traces) -> None:
        self._queue = queue
        self._traces = traces

    def publish(self, job: Job) -> None:
        """Publish a job."""
        with self._traces.span("publish", "producer", attributes={JOB_ID: job.job_id}):
            self._queue.publish(job)


class PublishSpans:
    """Makes one span a message for new jobs, in the trace that its job was submitted in."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    @contextmanager
    def __call__(self, job: Job) -> Iterator[Mapping[str, str]]:
        """Begin the span, and return the message's headers."""
        parent = {TRACEPARENT: job.origin.traceparent} if job.origin.traceparent is not None else {}
        with self._traces.span("publish", "producer", attributes={JOB_ID: job.job_id}, parent=parent):
            yield self._traces.headers()


class SliceSpans:
    """Makes one span a slice: it continues the trace of its message, if that is the job's own as well.

    Otherwise the message was published for another job of the account. Then the first slice continues the trace that
    the job was submitted in, and each later one begins a trace with a link to that: an export may take hours and
    thousands of slices, too many for one trace.
    """

    def __init__(self, traces: Traces, *, headers: Headers) -> None:
        self._traces = traces
        self._headers = headers

    def __call__(self, job: Job) -> AbstractContextManager[Span]:
        """Begin the span of a slice of this job."""
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
    """Take the id of the trace out of a header of W3C's Trace Context."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None
