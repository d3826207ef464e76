"""What every task leaves behind: a span, a metric, and one line of the log where something it needs is unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeAlias, TypeVar

import structlog

from worker.errors import UnavailableError
from worker.export.interfaces import SliceOutcome
from worker.schedules.schedule import RunCounts
from worker.telemetry.metrics import ExportMetrics
from worker.telemetry.tracing import JOB_ID, LINK, RPC_ID, Span, Traces

P = ParamSpec("P")
T = TypeVar("T")

_ATTRIBUTES = {"job_id": JOB_ID, "rpc_id": RPC_ID}
_WITH_WORK = (SliceOutcome.WORKED, SliceOutcome.LEASE_LOST)
_UNAVAILABLE = "unavailable"

Count: TypeAlias = Callable[[ExportMetrics, T | UnavailableError, float], None]
"""Takes what a task returned or why it could not run, and the seconds that it took."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """Where the tasks of a process report to; `headers` are those of the message that this thread works on."""

    metrics: ExportMetrics
    traces: Traces
    headers: Callable[[], Mapping[str, str]]

    def span(self, name: str, **ids: str) -> AbstractContextManager[Span]:
        """Return a span that continues the trace of the message."""
        headers = self.headers()
        attributes = {_ATTRIBUTES[each]: value for each, value in ids.items()}
        return self.traces.span(name, "consumer", attributes=attributes, parent=headers, link=headers.get(LINK))


def observed(
    instruments: Callable[[], Instruments],
    *,
    unavailable: str,
    span: str | None = None,
    count: Count[T] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Callable[[Callable[P, T | None]], Callable[P, None]]:
    """Decorate a task; its arguments that end in `_id` are bound to the log and stand in the span.

    An UnavailableError ends the task with the log event `unavailable`. The broker is not told: what the task was for is
    stored, and a sweep publishes it again. A task that returns None did nothing that counts.
    """

    def decorate(run: Callable[P, T | None]) -> Callable[P, None]:
        parameters = signature(run)

        @wraps(run)
        def task(*args: P.args, **kwargs: P.kwargs) -> None:
            arguments = parameters.bind(*args, **kwargs).arguments
            ids = {name: value for name, value in arguments.items() if name.endswith("_id")}
            used, began_at = instruments(), monotonic()
            result: T | UnavailableError | None
            with structlog.contextvars.bound_contextvars(**ids):
                try:
                    # Inside the `try`, so that the span is marked as failed by the error that ends the task.
                    with used.span(span, **ids) if span is not None else nullcontext():
                        result = run(*args, **kwargs)
                except UnavailableError as error:
                    result = error
                    _log.warning(unavailable, error=error.message, **ids)
            if count is not None and result is not None:
                count(used.metrics, result, monotonic() - began_at)

        return task

    return decorate


def count_slice(metrics: ExportMetrics, outcome: SliceOutcome | UnavailableError, seconds: float) -> None:
    """Count a message by its outcome, and time a slice that had work."""
    metrics.slices.labels(_UNAVAILABLE if isinstance(outcome, UnavailableError) else outcome).inc()
    if outcome in _WITH_WORK:
        metrics.slice_s.observe(seconds)


def count_sweep(metrics: ExportMetrics, published: int | UnavailableError, _seconds: float) -> None:
    """Count a sweep, and the jobs that it published."""
    if isinstance(published, UnavailableError):
        metrics.sweeps.labels(_UNAVAILABLE).inc()
        return
    metrics.sweeps.labels("done").inc()
    metrics.count_republished(published)


def count_runs(metrics: ExportMetrics, counts: RunCounts | UnavailableError, _seconds: float) -> None:
    """Count the runs of schedules, and those that were not started."""
    if isinstance(counts, UnavailableError):
        return
    metrics.runs.labels("started").inc(counts.started)
    metrics.runs.labels("skipped").inc(counts.skipped)
    metrics.runs.labels("missed").inc(counts.missed)
