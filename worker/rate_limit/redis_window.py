"""RedisSlidingWindow: a log of all workers' calls in Redis, by its clock. The reasoning is in `lua/`."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from redis import Redis

from worker.rate_limit.blocks import CALLS, blocked_for_s
from worker.rate_limit.limit_keys import LimitKey
from worker.rate_limit.permits import PERMIT_S, PRESUMED_OVER_S
from worker.rate_limit.quota import Rate

QUOTA_LIFE_S = 300.0

_OF_ACCOUNT = ("calls", "blocked", "quota", "turns", "portal-of", "pace")
_NOT_MADE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """What Redis is told of a call: how long ago it ended; None: it was never made.

    A negative `over_ago_s` is for a call that is still in flight: it counts for so long from the report on.
    """

    name: str
    over_ago_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Redis' answer to a request for a permit.

    `rate` is the one in force, `logged` the calls in its window, whoever made them; `workers` share the limit.
    `birth` names the log: a new name shows that Redis has lost its data.
    """

    wait_s: float
    is_granted: bool
    is_blocked: bool
    rate: Rate
    logged: int
    workers: int
    birth: str


class RedisSlidingWindow:
    """One worker's view of the log of one limit. Every method is one round trip and raises RedisError."""

    def __init__(self, redis: Redis, *, limit: str = CALLS) -> None:
        self._redis = redis
        self._limit = limit
        self._worker = secrets.token_hex(8)
        scripts = files("worker.rate_limit") / "lua"
        self._reserve, self._learn, self._block = (
            redis.register_script((scripts / "portal.lua").read_text() + (scripts / f"{name}.lua").read_text())
            for name in ("reserve", "learn", "block")
        )
        # Without portal.lua: it is sent once for each key of a report, and needs only the calls and the portal.
        self._settle = redis.register_script((scripts / "settle.lua").read_text())

    def reserve(  # noqa: PLR0913 - what there is to know of a call and of who asks
        self,
        key: LimitKey,
        rate: Rate,
        *,
        call: str,
        within_s: float,
        low_priority: bool,
        birth: str | None,
        unlogged_ago_s: float | None,
    ) -> Decision:
        """Request the key's next permit within `within_s`; a low-priority call gets one that nobody else will want.

        From then on the call counts until `report` says that it ended, for PRESUMED_OVER_S at the most.
        `birth` is the log that this worker knows. Calls that are not in it were made at least `unlogged_ago_s` ago.
        """
        keys = [*self._keys(key), f"{self._limit}:log", f"{self._limit}:workers"]
        arguments: list[int | str] = [
            call,
            rate.calls,
            _ms(rate.seconds),
            _ms(within_s),
            self._worker,
            birth or "",
            secrets.token_hex(8),
            -1 if unlogged_ago_s is None else _ms(unlogged_ago_s),
            int(low_priority),
            _ms(PRESUMED_OVER_S),
            _ms(PERMIT_S),
            *self._portal(key),
        ]
        granted, wait, blocked, calls, window, logged, workers, log = self._reserve(keys=keys, args=arguments)
        return Decision(
            wait_s=wait / 1000,
            is_granted=bool(granted),
            is_blocked=bool(blocked),
            rate=Rate(calls, window / 1000),
            logged=logged,
            workers=workers,
            birth=log if isinstance(log, str) else log.decode(),
        )

    def report(self, states: Mapping[LimitKey, Sequence[CallState]], *, keep_s: float) -> None:
        """Report how calls ended. The log of a key that is no longer used is kept for `keep_s`."""
        # Not a transaction: each script is atomic, and the keys of portals are independent of each other.
        with self._redis.pipeline(transaction=False) as pipeline:
            for key, calls in states.items():
                arguments: list[int | str] = [_ms(keep_s)]
                for call in calls:
                    ago_s = call.over_ago_s
                    arguments += [call.name, _NOT_MADE if ago_s is None else math.floor(ago_s * 1000)]
                account_calls, *_, portal_of, _pace = self._keys(key)
                self._settle(keys=[account_calls, portal_of], args=[*arguments, *self._portal(key)], client=pipeline)
            pipeline.execute()

    def learn(self, key: LimitKey, rate: Rate, *, counted: int, reach_s: float) -> int:
        """Put `rate` in force, and add entries until the last `reach_s` hold as many calls as HubSpot has `counted`.

        Return how many they hold then.
        """
        limits: list[int | str] = [rate.calls, _ms(rate.seconds), _ms(QUOTA_LIFE_S), counted, _ms(reach_s)]
        return int(self._learn(keys=self._keys(key), args=[*limits, secrets.token_hex(8), *self._portal(key)]))

    def block(self, key: LimitKey, seconds: float) -> float:
        """Grant nothing for so many seconds; a longer block stays. Return how long the block lasts."""
        return float(self._block(keys=self._keys(key), args=[_ms(seconds), *self._portal(key)])) / 1000

    def blocked_for_s(self, key: LimitKey) -> float:
        """Return the seconds left of a block, 0.0 where there is none."""
        return blocked_for_s(self._redis, key.account_id, portal=key.portal, limit=self._limit)

    def _keys(self, key: LimitKey) -> list[str]:
        return [f"{self._limit}:{name}:{key.account_id}" for name in _OF_ACCOUNT]

    def _portal(self, key: LimitKey) -> tuple[str, str]:
        return f"{self._limit}:portal:", key.portal or ""


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds > 0 else 0
