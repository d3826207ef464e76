"""The chaos plan: which process is killed or suspended when, and the code that carries it out."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from pymongo.errors import PyMongoError
from redis import Redis

from sandbox.processes import Pause, Process
from sandbox.servers.mongo import MongoMember
from sandbox.servers.rabbitmq import RabbitServer
from sandbox.stack import Stack


class ChaosEvent(StrEnum):
    """What is done to the stack at one moment."""

    WORKER_KILLED = "worker killed (kill -9) and started"
    REDIS_EMPTIED = "Redis emptied (FLUSHALL)"
    REDIS_KILLED = "Redis killed (kill -9) and started"
    REDIS_STARTED = "Redis started"
    MONGO_KILLED = "MongoDB killed (kill -9) and started"
    MONGO_STARTED = "MongoDB started"
    STEPPED_DOWN = "MongoDB's primary made to step down"
    WORKER_STOPPED = "worker stopped for a while (SIGSTOP)"
    WORKER_CONTINUED = "worker continued"
    SHIM_STOPPED = "shim stopped for a while (SIGSTOP)"
    SHIM_CONTINUED = "shim continued"
    MONGO_STOPPED = "MongoDB stopped for a while (SIGSTOP)"
    MONGO_CONTINUED = "MongoDB continued"
    REDIS_STOPPED = "Redis stopped for a while (SIGSTOP)"
    REDIS_CONTINUED = "Redis continued"
    RABBITMQ_KILLED = "RabbitMQ killed (kill -9) and started"
    RABBITMQ_STARTED = "RabbitMQ started"


REPAIRED_BY: Mapping[ChaosEvent, ChaosEvent] = {
    ChaosEvent.REDIS_KILLED: ChaosEvent.REDIS_STARTED,
    ChaosEvent.MONGO_KILLED: ChaosEvent.MONGO_STARTED,
    ChaosEvent.WORKER_STOPPED: ChaosEvent.WORKER_CONTINUED,
    ChaosEvent.SHIM_STOPPED: ChaosEvent.SHIM_CONTINUED,
    ChaosEvent.MONGO_STOPPED: ChaosEvent.MONGO_CONTINUED,
    ChaosEvent.REDIS_STOPPED: ChaosEvent.REDIS_CONTINUED,
    ChaosEvent.RABBITMQ_KILLED: ChaosEvent.RABBITMQ_STARTED,
}
"""The later event that ends the effect of an event."""

REPAIRS = frozenset(REPAIRED_BY.values())

_AWAY_S = 3.0
_EMPTIED_AT = (0.25,)  # this and the following: fractions of the run
_REDIS_KILLED_AT = (0.4, 0.7)
_MONGO_KILLED_AT = (0.55,)
_RABBITMQ_KILLED_AT = (0.27,)
_STOPPED_AT: Mapping[ChaosEvent, float] = {
    ChaosEvent.WORKER_STOPPED: 0.01,
    ChaosEvent.SHIM_STOPPED: 0.11,
    ChaosEvent.MONGO_STOPPED: 0.17,
    ChaosEvent.REDIS_STOPPED: 0.82,
}
_STOPPED_FOR = (0.03, 0.05)
_WORKER_STOPPED_FOR = (0.06, 0.09)  # in a run of five minutes about the length of a lease, or longer
_STEP_DOWNS = 12  # per run, at most one in 5 s
_LEAST_BETWEEN_S = 5.0
_NOT_AGAIN_S = 5  # for so long a primary that has stepped down does not stand for election


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedEvent:
    """An event, `at_s` seconds after the start."""

    at_s: float
    event: ChaosEvent


def make_chaos_plan(
    *, seconds: float, kill_every_s: float, members: int = 1, has_rabbitmq: bool = False, seed: int = 1
) -> tuple[TimedEvent, ...]:
    """Return the events of a run in the order of time; a killed server is started again 3 s later.

    The seed decides for how long processes are suspended. Step-downs need several members.
    """
    kills = (number * kill_every_s for number in range(1, int(seconds / kill_every_s) + 1))
    timed = [
        *(TimedEvent(at_s=at_s, event=ChaosEvent.WORKER_KILLED) for at_s in kills if at_s < seconds),
        *(TimedEvent(at_s=part * seconds, event=ChaosEvent.REDIS_EMPTIED) for part in _EMPTIED_AT),
        *_restarts(_REDIS_KILLED_AT, seconds, ChaosEvent.REDIS_KILLED),
        *_restarts(_MONGO_KILLED_AT, seconds, ChaosEvent.MONGO_KILLED),
        *_stops(seconds, Random(seed)),  # noqa: S311 - a chaos plan needs no cryptography
        *(_step_downs(seconds) if members > 1 else ()),
        *(_restarts(_RABBITMQ_KILLED_AT, seconds, ChaosEvent.RABBITMQ_KILLED) if has_rabbitmq else ()),
    ]
    return tuple(sorted(timed, key=lambda each: each.at_s))


def _restarts(parts: tuple[float, ...], seconds: float, killed: ChaosEvent) -> list[TimedEvent]:
    return [
        TimedEvent(at_s=part * seconds + later_s, event=event)
        for part in parts
        for later_s, event in ((0.0, killed), (_AWAY_S, REPAIRED_BY[killed]))
    ]


def _stops(seconds: float, dice: Random) -> list[TimedEvent]:
    lengths = {ChaosEvent.WORKER_STOPPED: _WORKER_STOPPED_FOR}
    stops = [(each, part, dice.uniform(*lengths.get(each, _STOPPED_FOR))) for each, part in _STOPPED_AT.items()]
    return [
        TimedEvent(at_s=at * seconds, event=each)
        for event, part, length in stops
        for at, each in ((part, event), (part + length, REPAIRED_BY[event]))
    ]


def _step_downs(seconds: float) -> list[TimedEvent]:
    every_s = max(seconds / _STEP_DOWNS, _LEAST_BETWEEN_S)
    times = (every_s * (number + 0.5) for number in range(int(seconds / every_s)))
    return [TimedEvent(at_s=at_s, event=ChaosEvent.STEPPED_DOWN) for at_s in times]


class _TargetDownError(Exception):
    """The target of the event is down already."""


class ChaosRunner:
    """Carries out events, in the main thread because it starts processes. `broker_away_s` is RabbitMQ's downtime."""

    def __init__(self, stack: Stack, rabbitmq: RabbitServer | None = None) -> None:
        self._stack = stack
        self._rabbitmq = rabbitmq
        self._stopped: dict[ChaosEvent, Process] = {}
        self._waiting: threading.Thread | None = None
        self._rabbitmq_killed_at = 0.0
        self.broker_away_s = 0.0
        self._workers_killed = 0
        self._mongo_killed: MongoMember | None = None
        self.done: Counter[ChaosEvent] = Counter()
        self._acts: dict[ChaosEvent, Callable[[], object]] = {
            ChaosEvent.WORKER_KILLED: self._replace_worker,
            ChaosEvent.REDIS_EMPTIED: self._empty_redis,
            ChaosEvent.REDIS_KILLED: stack.redis.kill,
            ChaosEvent.REDIS_STARTED: stack.redis.start,
            ChaosEvent.MONGO_KILLED: self._kill_mongo,
            ChaosEvent.MONGO_STARTED: self._start_mongo,
            ChaosEvent.STEPPED_DOWN: self._step_down,
            ChaosEvent.WORKER_STOPPED: lambda: self._stop(ChaosEvent.WORKER_CONTINUED, stack.workers[0]),
            ChaosEvent.SHIM_STOPPED: lambda: self._stop(ChaosEvent.SHIM_CONTINUED, stack.shim),
            ChaosEvent.MONGO_STOPPED: lambda: self._stop(ChaosEvent.MONGO_CONTINUED, self._primary()),
            ChaosEvent.REDIS_STOPPED: lambda: self._stop(ChaosEvent.REDIS_CONTINUED, stack.redis),
            ChaosEvent.WORKER_CONTINUED: lambda: self._continue(ChaosEvent.WORKER_CONTINUED),
            ChaosEvent.SHIM_CONTINUED: lambda: self._continue(ChaosEvent.SHIM_CONTINUED),
            ChaosEvent.MONGO_CONTINUED: lambda: self._continue(ChaosEvent.MONGO_CONTINUED),
            ChaosEvent.REDIS_CONTINUED: lambda: self._continue(ChaosEvent.REDIS_CONTINUED),
            ChaosEvent.RABBITMQ_KILLED: self._kill_rabbitmq,
            ChaosEvent.RABBITMQ_STARTED: self._start_rabbitmq,
        }

    def trigger(self, event: ChaosEvent) -> None:
        """Carry out an event and count it, without waiting until a started process is ready."""
        with suppress(_TargetDownError):
            self._acts[event]()
            self.done[event] += 1

    def repair(self, *, pause: Pause) -> None:
        """Start or resume all servers that are down, and wait until they are ready. Raises ProcessFailedError."""
        for repair in tuple(self._stopped):
            with suppress(_TargetDownError):
                self._continue(repair)
        self._start_mongo()
        if not self._stack.redis.is_alive:
            self._stack.redis.start()
        if self._waiting is not None:
            self._waiting.join()
        self._stack.redis.wait_ready(pause=pause)
        self._stack.mongo.wait_ready(pause=pause)

    def _replace_worker(self) -> None:
        """Kill the workers in turn and restart each at once, as a supervisor would."""
        worker = self._stack.workers[self._workers_killed % len(self._stack.workers)]
        worker.kill()
        worker.start()
        self._workers_killed += 1

    def _empty_redis(self) -> None:
        with Redis.from_url(self._stack.redis.url) as client:
            client.flushall()

    def _kill_mongo(self) -> None:
        self._mongo_killed = self._primary()
        self._mongo_killed.kill()

    def _primary(self) -> MongoMember:
        """Return the primary, or the first member while there is none."""
        try:
            return self._stack.mongo.primary
        except LookupError:
            return self._stack.mongo.members[0]

    def _step_down(self) -> None:
        """Make the primary step down, unless no other member can take over now."""
        try:
            self._stack.mongo.primary.ask({"replSetStepDown": _NOT_AGAIN_S, "secondaryCatchUpPeriodSecs": 2})
        except (LookupError, PyMongoError):
            raise _TargetDownError from None

    def _stop(self, repair: ChaosEvent, process: Process) -> None:
        if not process.is_alive:
            raise _TargetDownError
        process.send(signal.SIGSTOP)
        self._stopped[repair] = process

    def _continue(self, repair: ChaosEvent) -> None:
        """Resume a suspended process, unless it was killed meanwhile."""
        process = self._stopped.pop(repair, None)
        if process is None or not process.is_alive:
            raise _TargetDownError
        process.send(signal.SIGCONT)

    def _kill_rabbitmq(self) -> None:
        if self._rabbitmq is not None:
            self._rabbitmq.kill()
            self._rabbitmq_killed_at = time.monotonic()

    def _start_rabbitmq(self) -> None:
        """Start RabbitMQ; a thread waits until it is ready, which may take half a minute."""
        if self._rabbitmq is not None:
            self._rabbitmq.begin()
            self._waiting = threading.Thread(target=self._note_return, args=(self._rabbitmq,), daemon=True)
            self._waiting.start()

    def _note_return(self, rabbitmq: RabbitServer) -> None:
        rabbitmq.wait_ready()
        self.broker_away_s = time.monotonic() - self._rabbitmq_killed_at

    def _start_mongo(self) -> None:
        if self._mongo_killed is not None and not self._mongo_killed.is_alive:
            self._mongo_killed.start()
        self._mongo_killed = None
