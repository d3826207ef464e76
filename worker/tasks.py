"""The Celery tasks: each unpacks, calls one object, translates."""

from __future__ import annotations

from datetime import datetime

import structlog

from worker import bootstrap
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
from worker.errors import UnavailableError
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn

_log = structlog.get_logger()


@app.task(name=TAKE_TURN)
def take_turn(account_id: str, line: str, as_of: str | None) -> None:
    """Work on one of an account's jobs for at most one slice."""
    at = datetime.fromisoformat(as_of) if as_of is not None else None
    try:
        bootstrap.services().exporter.take_turn(AccountTurn(account_id=account_id, line=Line(line), as_of=at))
    except UnavailableError as error:
        _log.warning("slice_given_up", account_id=account_id, error=error.message)


@app.task(name=NOTE_MARK)
def note_mark(line: str, sent_at: str) -> None:
    """Record that everything published before the mark has been delivered."""
    try:
        bootstrap.services().upkeep.note_mark(Line(line), datetime.fromisoformat(sent_at))
    except UnavailableError as error:
        _log.warning("mark_not_noted", error=error.message)


@app.task(name=RUN_SLICE)
def run_slice(job_id: str) -> None:
    """Work on one job for at most one slice."""
    try:
        bootstrap.services().exporter.run_slice(job_id)
    except UnavailableError as error:
        _log.warning("slice_given_up", job_id=job_id, error=error.message)


@app.task(name=START_SYNC)
def start_sync(job_id: str) -> None:
    """Make the children of a sync."""
    try:
        bootstrap.services().syncer.start(job_id)
    except UnavailableError as error:
        _log.warning("sync_not_started", job_id=job_id, error=error.message)


@app.task(name=START_SYNCS)
def start_syncs(job_ids: list[str]) -> None:
    """Make the children of several syncs."""
    try:
        bootstrap.services().syncer.start_all(job_ids)
    except UnavailableError as error:
        _log.warning("syncs_not_started", error=error.message)


@app.task(name=RUN_RPC_REQUEST)
def run_rpc_request(rpc_id: str) -> None:
    """Ask HubSpot what a caller of the shim waits for."""
    try:
        bootstrap.services().rpc_server.run(rpc_id)
    except UnavailableError as error:
        _log.warning("rpc_request_given_up", rpc_id=rpc_id, error=error.message)


@app.task(name=DELIVER)
def deliver(job_id: str) -> None:
    """Have a job's webhook told how it ended."""
    try:
        bootstrap.services().deliverer.deliver(job_id)
    except UnavailableError as error:
        _log.warning("delivery_given_up", job_id=job_id, error=error.message)


@app.task(name=SWEEP)
def sweep() -> None:
    """Publish again what was stored but not published, or stopped moving."""
    try:
        bootstrap.services().sweeper.sweep()
    except UnavailableError as error:
        _log.warning("sweep_given_up", error=error.message)


@app.task(name=DISPATCH)
def dispatch() -> None:
    """Start the syncs of schedules whose time has come."""
    try:
        bootstrap.services().dispatcher.dispatch()
    except UnavailableError as error:
        _log.warning("dispatch_given_up", error=error.message)
