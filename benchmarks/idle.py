"""The load of an idle deployment on its servers: one shim, one worker, one beat, no requests."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from redis import Redis
from rich.table import Table

from benchmarks.stacks import running_stack
from benchmarks.tables import show

AIMS: Mapping[str, float] = {"MongoDB, commands": 1.0, "Redis, commands": 5.0, "Redis, new connections": 0.0}
"""Target rates: at most so many per second."""

_DRIVERS = {"hello", "isMaster"}  # MongoDB's driver monitors each member by a call that the server answers after 10 s
_OF_THE_MEASUREMENT = {"serverStatus", "endSessions", "info"}
_SETTLING_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counters of the servers since their start, by command."""

    mongo: Mapping[str, int]
    redis: Mapping[str, int]
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Commands per second, the most frequent first, and new connections per second."""

    mongo: Mapping[str, float]
    redis: Mapping[str, float]
    connections: float

    def against_aims(self) -> Mapping[str, float]:
        """Return the totals under the names in `AIMS`."""
        return dict(zip(AIMS, (sum(self.mongo.values()), sum(self.redis.values()), self.connections), strict=True))


def rates(before: Counters, after: Counters, *, seconds: float) -> Rates:
    """Return the rates between two readings, without the commands of MongoDB's driver and of the measurement.

    Redis' health checks (`ping`) count: the product configures them.
    """
    return Rates(
        mongo=_a_second(before.mongo, after.mongo, seconds),
        redis=_a_second(before.redis, after.redis, seconds),
        connections=(after.connections - before.connections) / seconds,
    )


def _a_second(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> Mapping[str, float]:
    counted = {name: (count - before.get(name, 0)) / seconds for name, count in after.items()}
    some = {name: rate for name, rate in counted.items() if rate > 0 and name not in _DRIVERS | _OF_THE_MEASUREMENT}
    return dict(sorted(some.items(), key=lambda each: -each[1]))


def table(measured: Rates) -> Table:
    """Return the measured totals beside the targets, with their most frequent commands."""
    made = Table("a second", "measured", "aim", "of which")
    parts = [measured.mongo, measured.redis, {}]
    for (name, aim), rate, part in zip(AIMS.items(), measured.against_aims().values(), parts, strict=True):
        most = ", ".join(f"{each} {share:.2f}" for each, share in list(part.items())[:8])
        made.add_row(name, f"{rate:.2f}", f"{aim:.0f}", most)
    return made


def measure(seconds: float) -> Rates:
    """Start a stack, let it settle, and read the servers' counters at the beginning and the end of `seconds`."""
    with running_stack() as stack:
        uri = stack.settings["MONGODB_URI"]
        with MongoClient[dict[str, Any]](uri) as mongo, Redis.from_url(stack.redis.url) as redis:
            read(mongo, redis)
            time.sleep(_SETTLING_S)
            before, began_at = read(mongo, redis), time.monotonic()
            time.sleep(seconds)
            return rates(before, read(mongo, redis), seconds=time.monotonic() - began_at)


def read(mongo: MongoClient[dict[str, Any]], redis: Redis) -> Counters:
    commands = mongo.admin.command("serverStatus")["metrics"]["commands"]
    asked: Any = redis.info("commandstats")
    server: Any = redis.info("stats")
    return Counters(
        mongo={name: each["total"] for name, each in commands.items() if isinstance(each, dict) and "total" in each},
        redis={name.removeprefix("cmdstat_"): each["calls"] for name, each in asked.items()},
        connections=server["total_connections_received"],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long counters are compared (60)")
    show(table(measure(parser.parse_args().seconds)))


if __name__ == "__main__":
    main()
