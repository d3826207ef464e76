"""RedisSlidingWindow: the calls of all workers, logged in Redis on its own clock. The reasoning is in `lua/`."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from redis import Redis

from worker.rate_limit.blocks import blocked_for_s
from worker.rate_limit.permits import PERMIT_S, PRESUMED_OVER_S
from worker.rate_limit.quota import Rate

QUOTA_LIFE_S = 300.0

_PREFIX = "hubspot-export"
_PORTALS = f"{_PREFIX}:portal:"
_OF_ACCOUNT = ("calls", "blocked", "quota", "turns", "portal-of", "pace")
_NOT_MADE = ""


@dataclass(frozen=True, slots=True)
class LimitKey:
    """Whose limit a call counts in: that of the account's `portal` for our app; None: as far as is known its own."""

    account_id: str
    portal: str | None = None

    @property
    def name(self) -> str:
        """Tell it from every other one."""
        return f"account:{self.account_id}" if self.portal is None else f"portal:{self.portal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """The outcome of a call for Redis: since when it has been over; None: it was not made.

    A negative `over_ago_s` is for a call that is still out: it counts for so long from when Redis is told.
    """

    name: str
    over_ago_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What Redis says about a key's next call.

    `rate` is the one in force, `logged` the calls in its window, whoever made them; `workers` share the account.
    `birth` names the log: another one tells that Redis has lost its data.
    """

    wait_s: float
    is_booked: bool
    is_blocked: bool
    rate: Rate
    logged: int
    workers: int
    birth: str


class RedisSlidingWindow:
    """One worker's view of the log. Every method is one round trip and raises RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._worker = secrets.token_hex(8)
        scripts = files("worker.rate_limit") / "lua"
        self._reserve, self._learn, self._block = (
            redis.register_script((scripts / "portal.lua").read_text() + (scripts / f"{name}.lua").read_text())
            for name in ("reserve", "learn", "block")
        )
        self._settle = redis.register_script((scripts / "settle.lua").read_text())

    def reserve(  # noqa: PLR0913 - what there is to know of a call and of who asks
        self,
        key: LimitKey,
        rate: Rate,
        *,
        call: str,
        within_s: float,
        is_spare: bool,
        birth: str | None,
        unlogged_ago_s: float | None,
    ) -> Place:
        """Book the key's next place, if it is near enough; for a spare call, if nobody else will want it.

        From then on the call counts, until `tell` says that it is over, for PRESUMED_OVER_S at the most.
        `birth` is the log that this worker knows. Calls that are not in it were made `unlogged_ago_s` ago at the least.
        """
        keys = [*_keys(key), f"{_PREFIX}:log", f"{_PREFIX}:workers"]
        arguments: list[int | str] = [
            call,
            rate.calls,
            _ms(rate.seconds),
            _ms(within_s),
            self._worker,
            birth or "",
            secrets.token_hex(8),
            -1 if unlogged_ago_s is None else _ms(unlogged_ago_s),
            int(is_spare),
            _ms(PRESUMED_OVER_S),
            _ms(PERMIT_S),
            *_portal(key),
        ]
        booked, wait, blocked, calls, window, logged, workers, log = self._reserve(keys=keys, args=arguments)
        return Place(
            wait_s=wait / 1000,
            is_booked=bool(booked),
            is_blocked=bool(blocked),
            rate=Rate(calls, window / 1000),
            logged=logged,
            workers=workers,
            birth=log if isinstance(log, str) else log.decode(),
        )

    def tell(self, states: Mapping[LimitKey, Sequence[CallState]], *, keep_s: float) -> None:
        """Report the outcome of calls. The log of a key that is no longer used is kept for `keep_s`."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for key, calls in states.items():
                arguments: list[int | str] = [_ms(keep_s)]
                for call in calls:
                    ago_s = call.over_ago_s
                    arguments += [call.name, _NOT_MADE if ago_s is None else math.floor(ago_s * 1000)]
                account_calls, *_, portal_of, _pace = _keys(key)
                self._settle(keys=[account_calls, portal_of], args=[*arguments, *_portal(key)], client=pipeline)
            pipeline.execute()

    def learn(self, key: LimitKey, rate: Rate, *, counted: int, reach_s: float) -> int:
        """Put `rate` in force, and fill the log up to the calls that HubSpot has `counted`.

        Those that the log has held in the last `reach_s` are known. Gives how many that are then.
        """
        told: list[int | str] = [rate.calls, _ms(rate.seconds), _ms(QUOTA_LIFE_S), counted, _ms(reach_s)]
        return int(self._learn(keys=_keys(key), args=[*told, secrets.token_hex(8), *_portal(key)]))

    def block(self, key: LimitKey, seconds: float) -> float:
        """Grant no call for so many seconds, or longer if it is blocked for longer. Returns for how long."""
        return float(self._block(keys=_keys(key), args=[_ms(seconds), *_portal(key)])) / 1000

    def blocked_for_s(self, key: LimitKey) -> float:
        """Return the seconds for which there is no place, 0.0 where there is one."""
        return blocked_for_s(self._redis, key.account_id, portal=key.portal)


def _keys(key: LimitKey) -> list[str]:
    return [f"{_PREFIX}:{name}:{key.account_id}" for name in _OF_ACCOUNT]


def _portal(key: LimitKey) -> tuple[str, str]:
    return _PORTALS, key.portal or ""


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds > 0 else 0
