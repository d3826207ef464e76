"""When which process is killed, and when it comes back: a timetable, and who keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from redis import Redis

from sandbox.mongo_server import MongoMember
from sandbox.processes import Pause
from sandbox.stack import Stack


class Strike(StrEnum):
    """What happens to the stack at one instant."""

    WORKER_KILLED = "worker killed (kill -9) and started"
    REDIS_EMPTIED = "Redis emptied (FLUSHALL)"
    REDIS_KILLED = "Redis killed (kill -9) and started"
    REDIS_STARTED = "Redis started"
    MONGO_KILLED = "MongoDB killed (kill -9) and started"
    MONGO_STARTED = "MongoDB started"


REPAIRS = frozenset({Strike.REDIS_STARTED, Strike.MONGO_STARTED})
"""The second halves of a restart."""

_AWAY_S = 3.0
_EMPTIED_AT = (0.25,)  # these three: parts of the run
_REDIS_KILLED_AT = (0.4, 0.7)
_MONGO_KILLED_AT = (0.55,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedStrike:
    """A strike, so many seconds after the start."""

    at_s: float
    strike: Strike


def timetable(*, seconds: float, kill_every_s: float) -> tuple[TimedStrike, ...]:
    """Spread the strikes over a run, in the order of their time; a server that was killed comes back 3 s later."""
    kills = (number * kill_every_s for number in range(1, int(seconds / kill_every_s) + 1))
    timed = [
        *(TimedStrike(at_s=at_s, strike=Strike.WORKER_KILLED) for at_s in kills if at_s < seconds),
        *(TimedStrike(at_s=part * seconds, strike=Strike.REDIS_EMPTIED) for part in _EMPTIED_AT),
        *_restarts(_REDIS_KILLED_AT, seconds, Strike.REDIS_KILLED, Strike.REDIS_STARTED),
        *_restarts(_MONGO_KILLED_AT, seconds, Strike.MONGO_KILLED, Strike.MONGO_STARTED),
    ]
    return tuple(sorted(timed, key=lambda each: each.at_s))


def _restarts(parts: tuple[float, ...], seconds: float, killed: Strike, started: Strike) -> list[TimedStrike]:
    return [
        TimedStrike(at_s=part * seconds + later_s, strike=strike)
        for part in parts
        for later_s, strike in ((0.0, killed), (_AWAY_S, started))
    ]


class Striker:
    """Strikes a stack. Use it in the main thread: it starts processes."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._workers_killed = 0
        self._mongo_killed: MongoMember | None = None
        self.done: Counter[Strike] = Counter()
        self._acts: dict[Strike, Callable[[], object]] = {
            Strike.WORKER_KILLED: self._replace_worker,
            Strike.REDIS_EMPTIED: self._empty_redis,
            Strike.REDIS_KILLED: stack.redis.kill,
            Strike.REDIS_STARTED: stack.redis.start,
            Strike.MONGO_KILLED: self._kill_mongo,
            Strike.MONGO_STARTED: self._start_mongo,
        }

    def strike(self, strike: Strike) -> None:
        """Do it and count it; nothing here waits until what was started is ready."""
        self._acts[strike]()
        self.done[strike] += 1

    def repair(self, *, pause: Pause) -> None:
        """Start the servers that are away, and wait until every server answers. Raises ProcessFailedError."""
        self._start_mongo()
        if not self._stack.redis.is_alive:
            self._stack.redis.start()
        self._stack.redis.wait_ready(pause=pause)
        self._stack.mongo.wait_ready(pause=pause)

    def _replace_worker(self) -> None:
        """Kill the workers in turns; each starts again at once, as a supervisor has it."""
        worker = self._stack.workers[self._workers_killed % len(self._stack.workers)]
        worker.kill()
        worker.start()
        self._workers_killed += 1

    def _empty_redis(self) -> None:
        with Redis.from_url(self._stack.redis.url) as client:
            client.flushall()

    def _kill_mongo(self) -> None:
        """Kill the member that takes writes; while there is none, the first."""
        self._mongo_killed = self._stack.mongo.members[0]
        with suppress(LookupError):
            self._mongo_killed = self._stack.mongo.primary
        self._mongo_killed.kill()

    def _start_mongo(self) -> None:
        if self._mongo_killed is not None and not self._mongo_killed.is_alive:
            self._mongo_killed.start()
        self._mongo_killed = None
