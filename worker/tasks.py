"""The Celery tasks: each unpacks its message and calls one object."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar

from worker.app import (
    DELIVER,
    DISPATCH,
    NOTE_MARK,
    RUN_RPC_REQUEST,
    RUN_SLICE,
    START_SYNC,
    START_SYNCS,
    SWEEP,
    TAKE_TURN,
    app,
)
from worker.bootstrap import services
from worker.export.interfaces import SliceOutcome
from worker.instrumented.tasks import Count, Instruments, count_runs, count_slice, count_sweep, observed
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn
from worker.schedules.schedule import RunCounts

P = ParamSpec("P")
T = TypeVar("T")


def _instruments() -> Instruments:
    return services().instruments


def _task(
    name: str, *, unavailable: str, span: str | None = None, count: Count[T] | None = None
) -> Callable[[Callable[P, T | None]], Callable[P, None]]:
    """Register a task under a name that older messages know it by, whatever becomes of the function's."""

    def register(run: Callable[P, T | None]) -> Callable[P, None]:
        return app.task(name=name)(observed(_instruments, unavailable=unavailable, span=span, count=count)(run))

    return register


@_task(TAKE_TURN, unavailable="slice_given_up", count=count_slice)
def take_turn(account_id: str, line: str, as_of: str | None) -> SliceOutcome:
    """Work on one of an account's jobs for at most one slice."""
    at = datetime.fromisoformat(as_of) if as_of is not None else None
    return services().exporter.take_turn(AccountTurn(account_id=account_id, line=Line(line), as_of=at))


@_task(NOTE_MARK, unavailable="mark_not_noted")
def note_mark(line: str, sent_at: str) -> None:
    """Record that everything published before the mark has been delivered."""
    services().upkeep.note_mark(Line(line), datetime.fromisoformat(sent_at))


@_task(RUN_SLICE, unavailable="slice_given_up", count=count_slice)
def run_slice(job_id: str) -> SliceOutcome:
    """Work on one job for at most one slice."""
    return services().exporter.run_slice(job_id)


@_task(START_SYNC, unavailable="sync_not_started", span="start_sync")
def start_sync(job_id: str) -> None:
    """Create the children of a sync."""
    services().syncer.start(job_id)


@_task(START_SYNCS, unavailable="syncs_not_started")
def start_syncs(job_ids: list[str]) -> None:
    """Create the children of several syncs, each in a span of its own."""
    for job_id in job_ids:
        with _instruments().span("start_sync", job_id=job_id):
            services().syncer.start(job_id)


# The span keeps the name that collected traces and dashboards know.
@_task(RUN_RPC_REQUEST, unavailable="rpc_request_given_up", span="run_errand")
def run_rpc_request(rpc_id: str) -> None:
    """Ask HubSpot what a caller of the shim waits for."""
    services().rpc_server.run(rpc_id)


@_task(DELIVER, unavailable="delivery_given_up")
def deliver(job_id: str) -> None:
    """Queue an attempt to tell a job's webhook how it ended."""
    services().deliverer.deliver(job_id)


@_task(SWEEP, unavailable="sweep_given_up", count=count_sweep)
def sweep() -> int | None:
    """Publish again what was stored but not published, or has stopped moving."""
    return services().sweep()


@_task(DISPATCH, unavailable="dispatch_given_up", count=count_runs)
def dispatch() -> RunCounts | None:
    """Start the syncs of schedules that are due."""
    return services().dispatch()
