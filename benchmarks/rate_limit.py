"""How well the rate limit of one account is kept and used: several worker processes and one Redis, which also fails.

    python -m benchmarks.rate_limit [--processes 4] [--threads 8] [--limit 110/3] [--seconds 20]
    python -m benchmarks.rate_limit --starved [--seconds 60] [--seed 1 --seed 2]

Every thread reserves a permit, waits for it, records the time at which it uses it, and repeats; every second thread is
slow, as if its calls took long. Times are of CLOCK_MONOTONIC, which all processes of a machine share. For --starved see
benchmarks/starved.py.

granted        calls made, of those that the limit allows in that time
worst window   the largest number of calls in any window of the limit's length
pace           the mean rate relative to the limit, in the undisturbed run
Redis calls    calls to Redis per granted call
latest         the longest delay between a permit's time and its use, on which the limit does not depend
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import click
import structlog
from redis import Redis
from rich.table import Table

from benchmarks.measuring import window_sizes
from benchmarks.starved import run, table_of
from benchmarks.tables import show
from sandbox.servers.embedded import embedded_redis
from sandbox.servers.redis import RedisServer
from sandbox.state_folder import temporary_state
from worker.broker.redis_client import impatient_redis
from worker.errors import PermitExpiredError
from worker.rate_limit.limiter import RedisRateLimiter
from worker.rate_limit.permits import Permit
from worker.rate_limit.quota import Rate

_SECONDS, _STARVED_S = 20.0, 60.0
_START_UP_S = 1.5
_WITHIN_S = 0.25
_SLOW_CALL_S = 0.3
_SHORT_ABSENCE_S = 1.0
_WIDTH = 120


@dataclass(frozen=True, kw_only=True)
class Task:
    """The work of one process: `threads` threads call for one account during `seconds` seconds."""

    url: str
    account_id: str
    rate: Rate
    threads: int
    seconds: float
    begins_at: float = field(default_factory=lambda: time.monotonic() + _START_UP_S)

    @property
    def ends_at(self) -> float:
        """When the threads stop."""
        return self.begins_at + self.seconds


@dataclass(frozen=True, kw_only=True)
class CallTotals:
    """The times of calls in no order, their largest delay, and the number of calls to Redis."""

    went_at: list[float]
    latest_s: float
    redis_calls: int

    @classmethod
    def of_all(cls, totals: Sequence[CallTotals]) -> CallTotals:
        """Merge the totals of all processes, with the calls in order of time."""
        return cls(
            went_at=sorted(at for each in totals for at in each.went_at),
            latest_s=max(each.latest_s for each in totals),
            redis_calls=sum(each.redis_calls for each in totals),
        )

    def worst_window(self, seconds: float) -> int:
        """Return the largest number of calls in any half-open window."""
        return max(window_sizes(self.went_at, seconds), default=0)

    def pace(self, rate: Rate) -> float:
        """Return the mean rate relative to the limit, over all pairs of calls that are one full window apart."""
        took = [later - earlier for earlier, later in zip(self.went_at, self.went_at[rate.calls :], strict=False)]
        return rate.seconds * len(took) / sum(took) if took else 0.0

    def longest_pause_s(self) -> float:
        return max((later - earlier for earlier, later in pairwise(self.went_at)), default=0.0)


class CountingRedis(Redis):
    """Counts its commands. Threads may lose single increments, which does not change the displayed digits."""

    asked = 0

    def execute_command(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's signature
        """Count the command and run it."""
        self.asked += 1
        return super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]  # the library's


@click.command()
@click.option("--processes", default=4, show_default=True, type=click.IntRange(1, 16))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 64))
@click.option("--limit", default="110/3", show_default=True, help="Calls per seconds.")
@click.option("--seconds", type=float, help="How long each of the four scenarios takes (20), or --starved (60).")
@click.option("--starved", is_flag=True, help="Two workers starved of CPU time, instead of the four scenarios.")
@click.option("--seed", "seeds", multiple=True, type=int, default=(1,), show_default=True, help="Of --starved.")
def main(  # noqa: PLR0913 - options
    *,
    processes: int,
    threads: int,
    limit: str,
    seconds: float | None,
    starved: bool,
    seeds: tuple[int, ...],
) -> None:
    """Measure and print."""
    if starved:
        show(table_of([(seed, run(seed, seconds=seconds or _STARVED_S)) for seed in seeds]), width=_WIDTH)
        return
    rate = Rate.parse(limit)
    if rate is None:
        raise click.BadParameter("must not be 0", param_hint="--limit")
    show(_measure(rate, processes=processes, threads=threads, seconds=seconds or _SECONDS), width=_WIDTH)


def _measure(rate: Rate, *, processes: int, threads: int, seconds: float) -> Table:
    table = Table(
        *("", "granted", "worst window", "pace", "longest pause", "Redis calls", "latest"),
        title=f"{rate.calls}/{rate.seconds:g}: {processes} processes of {threads} threads, {seconds:g} s each",
    )
    with temporary_state() as folder, ExitStack() as ends:
        server = embedded_redis(folder).start()
        ends.callback(server.stop)
        server.wait_ready()
        pool = ends.enter_context(ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")))
        for name, disturb in _disturbances(rate).items():
            task = Task(url=server.url, account_id=name, rate=rate, threads=threads, seconds=seconds)
            running = [pool.submit(work, task) for _ in range(processes)]
            time.sleep(_START_UP_S + seconds / 3)
            if disturb:
                disturb(server)
            totals = CallTotals.of_all([future.result() for future in running])
            pace = "" if disturb else f"{totals.pace(rate):.1%}"
            table.add_row(name, *_cells(totals, task, pace=pace))
    return table


def _disturbances(rate: Rate) -> dict[str, Callable[[RedisServer], None] | None]:
    """Return the scenarios: what happens to Redis after a third of each run."""
    return {
        "undisturbed": None,
        "FLUSHALL": _flush,
        f"killed, away {_SHORT_ABSENCE_S:g} s": lambda server: _kill(server, away_s=_SHORT_ABSENCE_S),
        f"killed, away {1.5 * rate.seconds:g} s": lambda server: _kill(server, away_s=1.5 * rate.seconds),
    }


def work(task: Task) -> CallTotals:
    """Run the threads of one process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    redis = CountingRedis(connection_pool=impatient_redis(task.url).connection_pool)
    limiter = RedisRateLimiter(redis, task.rate)
    callers = [Caller(limiter, task, call_s=_SLOW_CALL_S if number % 2 else 0.0) for number in range(task.threads)]
    time.sleep(max(0.0, task.begins_at - time.monotonic()))
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return CallTotals(
        went_at=[at for caller in callers for at in caller.went_at],
        latest_s=max(caller.latest_s for caller in callers),
        redis_calls=redis.asked,
    )


class Caller(threading.Thread):
    """One thread that calls as fast as the limiter lets it."""

    def __init__(self, limiter: RedisRateLimiter, task: Task, *, call_s: float) -> None:
        super().__init__()
        self._limiter = limiter
        self._task = task
        self._call_s = call_s
        self.went_at: list[float] = []
        self.latest_s = 0.0

    def run(self) -> None:
        """Reserve, wait and call, until the time is over."""
        while (asked_at := time.monotonic()) < self._task.ends_at:
            reservation = self._limiter.reserve(self._task.account_id, within_s=_WITHIN_S)
            if time.monotonic() + reservation.wait_s >= self._task.ends_at:
                return
            time.sleep(reservation.wait_s)
            if reservation.is_granted:
                self._call(reservation.permit, due_at=asked_at + reservation.wait_s)

    def _call(self, permit: Permit, *, due_at: float) -> None:
        with suppress(PermitExpiredError):
            permit.leave()
            went_at = time.monotonic()
            self.went_at.append(went_at)
            self.latest_s = max(self.latest_s, went_at - due_at)
            time.sleep(self._call_s)
        permit.settle()


def _flush(server: RedisServer) -> None:
    with Redis.from_url(server.url) as redis:
        redis.flushall()


def _kill(server: RedisServer, *, away_s: float) -> None:
    server.kill()
    time.sleep(away_s)
    server.start().wait_ready()


def _cells(totals: CallTotals, task: Task, *, pace: str) -> Sequence[str]:
    granted, calls = len(totals.went_at), task.rate.calls
    return (
        f"{granted} of {calls * math.ceil(task.seconds / task.rate.seconds)}",
        f"{totals.worst_window(task.rate.seconds)} of {calls}",
        pace,
        f"{totals.longest_pause_s():.1f} s",
        f"{totals.redis_calls / max(granted, 1):.2f}",
        f"{totals.latest_s * 1000:.0f} ms",
    )


if __name__ == "__main__":
    main()
