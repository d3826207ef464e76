"""How well the limit of one account is kept and used: several worker processes, one real Redis, which also fails.

    python -m benchmarks.rate_limit [--processes 4] [--threads 8] [--limit 110/3] [--seconds 20]
    python -m benchmarks.rate_limit --starved [--seconds 60] [--seed 1 --seed 2]

Every thread books a place, waits for it, notes when it goes, and asks again; each second thread is slow, as if its
calls took long. Instants are of CLOCK_MONOTONIC, which all processes of a machine share. What --starved does is said in
benchmarks/starved.py.

granted        calls that went, of those that the limit allows in that time
worst window   the largest number of calls that went within any time as long as the limit's
pace           the limit's time, over the time that so many calls took on average; where nothing happened to Redis
Redis calls    questions to Redis for one granted call
latest         how long after its place a call went at most, which the limit does not depend on
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
from rich.console import Console
from rich.table import Table

from benchmarks.starved import run, table_of
from sandbox.redis_server import RedisServer
from sandbox.servers import embedded_redis
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
    """What each process does: with so many threads, one account, between two instants."""

    url: str
    account_id: str
    rate: Rate
    threads: int
    seconds: float
    begins_at: float = field(default_factory=lambda: time.monotonic() + _START_UP_S)

    @property
    def ends_at(self) -> float:
        """When nobody asks any more."""
        return self.begins_at + self.seconds


@dataclass(frozen=True, kw_only=True)
class ExportTotals:
    """When calls went, in no order, how late at most, and what was asked of Redis for them."""

    went_at: list[float]
    latest_s: float
    redis_calls: int

    @classmethod
    def of_all(cls, tallies: Sequence[ExportTotals]) -> ExportTotals:
        """Put the processes' tallies together, calls in order."""
        return cls(
            went_at=sorted(at for tally in tallies for at in tally.went_at),
            latest_s=max(tally.latest_s for tally in tallies),
            redis_calls=sum(tally.redis_calls for tally in tallies),
        )

    def worst_window(self, seconds: float) -> int:
        """Count the calls of the fullest half-open window."""
        worst = first = 0
        for last, at in enumerate(self.went_at):
            while self.went_at[first] <= at - seconds:
                first += 1
            worst = max(worst, last - first + 1)
        return worst

    def pace(self, rate: Rate) -> float:
        """Return the mean rate as a part of the limit's: from each call to the one that may go a window later."""
        took = [later - earlier for earlier, later in zip(self.went_at, self.went_at[rate.calls :], strict=False)]
        return rate.seconds * len(took) / sum(took) if took else 0.0

    def longest_pause_s(self) -> float:
        """Return the longest time without a call."""
        return max((later - earlier for earlier, later in pairwise(self.went_at)), default=0.0)


class CountingRedis(Redis):
    """Counts what it asks. Threads may lose a count to each other, which changes no digit that is shown."""

    asked = 0

    def execute_command(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's signature
        """Ask, and count it."""
        self.asked += 1
        return super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]  # the library's


@click.command()
@click.option("--processes", default=4, show_default=True, type=click.IntRange(1, 16))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 64))
@click.option("--limit", default="110/3", show_default=True, help="Calls per seconds.")
@click.option("--seconds", type=float, help="How long each of the four scenarios takes (20), or --starved (60).")
@click.option("--starved", is_flag=True, help="Two workers that get no time, instead of the four scenarios.")
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
        Console(width=_WIDTH).print(table_of([(seed, run(seed, seconds=seconds or _STARVED_S)) for seed in seeds]))
        return
    rate = Rate.parse(limit)
    if rate is None:
        raise click.BadParameter("there has to be one", param_hint="--limit")
    Console(width=_WIDTH).print(_measure(rate, processes=processes, threads=threads, seconds=seconds or _SECONDS))


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
            tally = ExportTotals.of_all([future.result() for future in running])
            pace = "" if disturb else f"{tally.pace(rate):.1%}"
            table.add_row(name, *_cells(tally, task, pace=pace))
    return table


def _disturbances(rate: Rate) -> dict[str, Callable[[RedisServer], None] | None]:
    """Return what happens to Redis after a third of each run."""
    return {
        "nothing happens": None,
        "FLUSHALL": _flush,
        f"killed, away {_SHORT_ABSENCE_S:g} s": lambda server: _kill(server, away_s=_SHORT_ABSENCE_S),
        f"killed, away {1.5 * rate.seconds:g} s": lambda server: _kill(server, away_s=1.5 * rate.seconds),
    }


def work(task: Task) -> ExportTotals:
    """Do one process' part."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    redis = CountingRedis(connection_pool=impatient_redis(task.url).connection_pool)
    limiter = RedisRateLimiter(redis, task.rate)
    callers = [Caller(limiter, task, call_s=_SLOW_CALL_S if number % 2 else 0.0) for number in range(task.threads)]
    time.sleep(max(0.0, task.begins_at - time.monotonic()))
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return ExportTotals(
        went_at=[at for caller in callers for at in caller.went_at],
        latest_s=max(caller.latest_s for caller in callers),
        redis_calls=redis.asked,
    )


class Caller(threading.Thread):
    """One thread that makes calls as fast as it may."""

    def __init__(self, limiter: RedisRateLimiter, task: Task, *, call_s: float) -> None:
        super().__init__()
        self._limiter = limiter
        self._task = task
        self._call_s = call_s
        self.went_at: list[float] = []
        self.latest_s = 0.0

    def run(self) -> None:
        """Book, wait, go, until the time is over."""
        while (asked_at := time.monotonic()) < self._task.ends_at:
            place = self._limiter.reserve(self._task.account_id, within_s=_WITHIN_S)
            if time.monotonic() + place.wait_s >= self._task.ends_at:
                return
            time.sleep(place.wait_s)
            if place.is_booked:
                self._go(place.permit, asked_at + place.wait_s)

    def _go(self, permit: Permit, place_at: float) -> None:
        with suppress(PermitExpiredError):
            permit.leave()
            went_at = time.monotonic()
            self.went_at.append(went_at)
            self.latest_s = max(self.latest_s, went_at - place_at)
            time.sleep(self._call_s)
        permit.settle()


def _flush(server: RedisServer) -> None:
    with Redis.from_url(server.url) as redis:
        redis.flushall()


def _kill(server: RedisServer, *, away_s: float) -> None:
    server.kill()
    time.sleep(away_s)
    server.start().wait_ready()


def _cells(tally: ExportTotals, task: Task, *, pace: str) -> Sequence[str]:
    granted, calls = len(tally.went_at), task.rate.calls
    return (
        f"{granted} of {calls * math.ceil(task.seconds / task.rate.seconds)}",
        f"{tally.worst_window(task.rate.seconds)} of {calls}",
        pace,
        f"{tally.longest_pause_s():.1f} s",
        f"{tally.redis_calls / max(granted, 1):.2f}",
        f"{tally.latest_s * 1000:.0f} ms",
    )


if __name__ == "__main__":
    main()
