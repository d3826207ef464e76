"""Checks that the broker accepts messages, workers consume every queue, and beat sends sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from celery import Celery

from api_shim.commands.checks.broker_nodes import check_nodes
from api_shim.commands.checks.findings import Finding, ok, one_line, skipped, verdict_on, wrong
from api_shim.commands.database import DatabaseError, open_database
from worker.app import QUEUE_BULK, QUEUE_INTERACTIVE, QUEUE_UPKEEP, SWEEP
from worker.beat.mongo import MongoDueWork
from worker.messaging.celery_queues import NOT_REACHED, answer_quickly, nodes_of
from worker.settings import StoreSettings

SUBJECTS = ("broker", "workers", "queues", "beat")

_ANSWER_S = 2
_LOOK_EVERY_S = 1.0
# Beat sends a sweep after 2 s if it sees in the database that none is running, and once a minute in any case.
_LOOKS, _MOST_LOOKS = 8, 65
_SWEPT_WITHIN_S = 75.0
_QUEUES = (QUEUE_INTERACTIVE, QUEUE_BULK, QUEUE_UPKEEP)

Replies = Mapping[str, Any]


def check_broker(app: Celery, *, store: StoreSettings | None, pause: Callable[[float], None]) -> Iterator[Finding]:
    """Stop at the first server that does not answer."""
    answer_quickly(app)
    try:
        if nodes_of(app) > 1:
            yield check_nodes(app)
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=nodes_of(app), interval_start=0, timeout=_ANSWER_S)
            yield ok("broker", f"takes messages at {connection.hostname}")
        queues: Replies = app.control.inspect(timeout=_ANSWER_S).active_queues() or {}
        yield from judge_workers(queues)
        ended_s = _last_sweep_s(store)
        looks = _LOOKS if ended_s is not None else _MOST_LOOKS  # beat may use another database
        yield judge_last_sweep(ended_s) or _check_beat(app, sorted(queues), looks=looks, pause=pause)
    except NOT_REACHED as error:
        yield wrong("broker", f"does not answer: {one_line(error)}")


def judge_workers(queues: Replies) -> Iterator[Finding]:
    """Check that workers answered, and that they consume every queue."""
    if not queues:
        yield wrong("workers", f"none answered within {_ANSWER_S} s; start one: celery -A worker worker")
        yield skipped("queues", "no worker answers")
        return
    yield ok("workers", f"{len(queues)} answered: {', '.join(sorted(queues))}")
    consumed = {queue["name"] for each in queues.values() for queue in each}
    missing = [name for name in _QUEUES if name not in consumed]
    yield verdict_on(
        "queues",
        f"without a worker: {', '.join(missing)}" if missing else f"{', '.join(_QUEUES)} are consumed",
        sound=not missing,
        advice="start a worker that consumes them (-Q)",
    )


def sweeps_in(stats: Replies) -> int:
    """Count the sweeps that these workers have started since their own start."""
    return sum(each.get("total", {}).get(SWEEP, 0) for each in stats.values())


def judge_last_sweep(ended_s: float | None) -> Finding | None:
    """Conclude from a recent sweep, or one in progress (less than 0), that beat runs; None: no conclusion."""
    if ended_s is None or abs(ended_s) > _SWEPT_WITHIN_S:
        return None
    return ok("beat", f"the last sweep ended {ended_s:.0f} s ago" if ended_s >= 0 else "a sweep is at work")


def _last_sweep_s(store: StoreSettings | None) -> float | None:
    if store is not None:
        with suppress(DatabaseError), open_database(store) as database:
            return MongoDueWork(database).look().swept_s
    return None


def _check_beat(app: Celery, workers: list[str], *, looks: int, pause: Callable[[float], None]) -> Finding:
    """Wait for a sweep to start: only beat sends them, and nothing else shows that it runs."""
    if not workers:
        return skipped("beat", "no worker answers that could tell")
    inspect = app.control.inspect(destination=workers, limit=len(workers), timeout=_ANSWER_S)
    before = sweeps_in(inspect.stats() or {})
    for _ in range(looks):
        pause(_LOOK_EVERY_S)
        if sweeps_in(inspect.stats() or {}) != before:
            return ok("beat", "a sweep has just been taken up")
    advice = "start one: celery -A worker beat; or more workers, if all are busy"
    return wrong("beat", f"no sweep was taken up in {looks * _LOOK_EVERY_S:.0f} s; {advice}")
