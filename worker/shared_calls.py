"""SharedCalls: the calls of all workers, logged in Redis on its own clock. The reasoning is in `lua/`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from importlib.resources import files

from redis import Redis

from worker.blocks import block_key, blocked_for_s
from worker.rates import Rate

QUOTA_LIFE_S = 300.0

_PREFIX = "hubspot-export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What Redis says about the next call of an account.

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


class SharedCalls:
    """One worker's view of the log. Every method is one round trip and raises RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._worker = secrets.token_hex(8)
        scripts = files("worker") / "lua"
        self._reserve, self._learn, self._block = (
            redis.register_script((scripts / f"{name}.lua").read_text()) for name in ("reserve", "learn", "block")
        )

    def reserve(  # noqa: PLR0913 - what there is to know of a call and of who asks
        self,
        account_id: str,
        rate: Rate,
        *,
        within_s: float,
        is_spare: bool,
        birth: str | None,
        unlogged_ago_s: float | None,
    ) -> Place:
        """Book the account's next place, if it is near enough; for a spare call, if nobody else will want it.

        `birth` is the log that this worker knows. Calls that are not in it were made `unlogged_ago_s` ago at the least.
        """
        calls, quota, turns = _keys("calls", "quota", "turns", account_id=account_id)
        keys = [calls, block_key(account_id), quota, turns, f"{_PREFIX}:log", f"{_PREFIX}:workers"]
        arguments: list[int | str] = [
            secrets.token_hex(8),
            rate.calls,
            _ms(rate.seconds),
            _ms(within_s),
            self._worker,
            birth or "",
            secrets.token_hex(8),
            -1 if unlogged_ago_s is None else _ms(unlogged_ago_s),
            int(is_spare),
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

    def learn(self, account_id: str, rate: Rate, *, counted: int, reach_s: float) -> int:
        """Put `rate` in force, and fill the log up to the calls that HubSpot has `counted`.

        Those that the log has held in the last `reach_s` are known. Gives how many that are then.
        """
        told: list[int | str] = [rate.calls, _ms(rate.seconds), _ms(QUOTA_LIFE_S), counted, _ms(reach_s)]
        keys = _keys("calls", "quota", account_id=account_id)
        return int(self._learn(keys=keys, args=[*told, secrets.token_hex(8)]))

    def block(self, account_id: str, seconds: float) -> float:
        """Give out no place for so many seconds, or longer where that was so already. Gives for how long."""
        return float(self._block(keys=[block_key(account_id)], args=[_ms(seconds)])) / 1000

    def blocked_for_s(self, account_id: str) -> float:
        """Give the seconds for which there is no place, 0.0 where there is one."""
        return blocked_for_s(self._redis, account_id)


def _keys(*names: str, account_id: str) -> list[str]:
    return [f"{_PREFIX}:{name}:{account_id}" for name in names]


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000)) if seconds > 0 else 0
