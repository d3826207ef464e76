"""Faults of a replica set of three: its primary steps down, is killed or frozen."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from pymongo.errors import PyMongoError

from sandbox.servers.mongo import MongoMember
from sandbox.stack import Stack
from tests.patience import until

_FROZEN_S, _AWAY_S = 3.0, 2.0
_CALM_S = (1.0, 3.0)
_NOT_AGAIN_S = 5  # a primary that has stepped down stays a secondary for so long


class StepDowns:
    """Disturbs the primary of a stack's MongoDB. Use it in the main thread: it starts processes."""

    def __init__(self, stack: Stack, *, seed: int) -> None:
        self._stack = stack
        self._dice = random.Random(seed)  # noqa: S311 - which disturbance comes next
        self.done: Counter[str] = Counter()
        self._acts: dict[str, Callable[[MongoMember], None]] = {
            "step-down": self._step_down,
            "kill": self._kill,
            "freeze": self._freeze,
        }

    def disturb(self, *, times: int) -> None:
        """Disturb so often, then kill the primary for good: two members are left, of which one takes writes."""
        for _ in range(times):
            name = self._dice.choice(["step-down", "step-down", "kill", "freeze"])
            self._acts[name](self._primary())
            self.done[name] += 1
            time.sleep(self._dice.uniform(*_CALM_S))
            self._stack.check()
        self._primary().kill()
        self._primary()

    def _primary(self) -> MongoMember:
        def found() -> MongoMember | None:
            with suppress(LookupError):
                return self._stack.mongo.primary
            return None

        member = until(found)
        assert member is not None
        return member

    def _step_down(self, member: MongoMember) -> None:
        with suppress(PyMongoError):  # it may have stepped down by itself, or nobody has caught up yet
            member.ask({"replSetStepDown": _NOT_AGAIN_S, "secondaryCatchUpPeriodSecs": 2})

    def _kill(self, member: MongoMember) -> None:
        member.kill()
        time.sleep(_AWAY_S)
        member.start().wait_ready()

    def _freeze(self, member: MongoMember) -> None:
        member.send(signal.SIGSTOP)
        try:
            time.sleep(_FROZEN_S)
        finally:
            member.send(signal.SIGCONT)
